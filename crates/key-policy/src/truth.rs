//! Owns [`Truth`], the three-valued logic every answer is computed in.

/// Kleene's three values: [`Unknown`](Self::Unknown) stays unknown unless another value decides the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    /// The value on which all possibilities agree; without any, it is unknown.
    pub(super) fn agreed(possibilities: impl IntoIterator<Item = Self>) -> Self {
        possibilities
            .into_iter()
            .reduce(|one, other| if one == other { one } else { Self::Unknown })
            .unwrap_or(Self::Unknown)
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    #[test]
    fn the_tables_are_kleenes() {
        let all = [True, False, Unknown];
        let and: Vec<_> = all.iter().flat_map(|a| all.iter().map(|b| a.and(*b))).collect();
        let or: Vec<_> = all.iter().flat_map(|a| all.iter().map(|b| a.or(*b))).collect();
        assert_eq!(and, [True, False, Unknown, False, False, False, Unknown, False, Unknown]);
        assert_eq!(or, [True, True, True, True, False, Unknown, True, Unknown, Unknown]);
        assert_eq!(all.map(Truth::not), [False, True, Unknown]);
    }

    #[test]
    fn possibilities_agree_or_nothing_is_known() {
        assert_eq!(Truth::agreed([True, True]), True);
        assert_eq!(Truth::agreed([False]), False);
        assert_eq!(Truth::agreed([True, False]), Unknown);
        assert_eq!(Truth::agreed([True, Unknown, True]), Unknown);
        assert_eq!(Truth::agreed([]), Unknown);
    }
}
