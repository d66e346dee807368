//! Owns [`Pool`]: values that are kept once and named by a number, so that a state is small.

use std::{cell::RefCell, rc::Rc};

/// The number of a value.
pub type Word = u16;

/// Values that are kept once.
#[derive(Debug)]
pub struct Pool<T>(RefCell<Vec<Rc<T>>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(RefCell::new(Vec::new()))
    }
}

impl<T: PartialEq + Clone> Pool<T> {
    /// The number of this value.
    pub fn put(&self, value: &T) -> Word {
        let mut values = self.0.borrow_mut();
        let place = values.iter().position(|known| **known == *value).unwrap_or_else(|| {
            values.push(Rc::new(value.clone()));
            values.len() - 1
        });
        Word::try_from(place).expect("a scene has few different values")
    }

    /// The value with this number.
    pub fn get(&self, word: Word) -> Rc<T> {
        self.0.borrow()[usize::from(word)].clone()
    }
}
