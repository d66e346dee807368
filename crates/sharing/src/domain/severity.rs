//! Owns [`Severity`].

use std::{fmt, str::FromStr};

use super::{ParseError, quoted};

/// The severity of a finding of Amazon Inspector, as EC2 names it, from the lowest to the highest.
///
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ScanResults.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A CVSS score of 0.
    Informational,
    /// 0.1 to 3.9.
    Low,
    /// 4.0 to 6.9.
    Medium,
    /// 7.0 to 8.9.
    High,
    /// 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// Every severity, from the lowest to the highest.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// EC2's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Severity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text).ok_or_else(|| {
            ParseError::new(format!("{} is not `informational`, `low`, `medium`, `high` or `critical`", quoted(text)))
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_ec2s_words_and_an_order() {
        for severity in Severity::ALL {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert!(Severity::ALL.is_sorted());
        for wrong in ["", "CRITICAL", "Low", "none", "untriaged"] {
            assert!(wrong.parse::<Severity>().is_err(), "{wrong}");
        }
    }
}
