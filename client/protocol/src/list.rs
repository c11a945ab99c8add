//! Lists with a stated largest length, refused while they are read rather than after.

use alloc::vec::Vec;
use core::{fmt, marker::PhantomData, ops::Deref};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A list is empty or longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list of {found} where 1 to {max} are allowed")]
pub struct WrongCount {
    /// The number of items found.
    pub found: usize,
    /// The largest number allowed.
    pub max: usize,
}

/// A list of at most `MAX` items.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The items, given away.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = WrongCount;
    fn try_from(items: Vec<T>) -> Result<Self, WrongCount> {
        if items.len() > MAX { Err(WrongCount { found: items.len(), max: MAX }) } else { Ok(Self(items)) }
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> de::Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} items")
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<List<T, MAX>, A::Error> {
        // No reservation from the claimed length: it is the sender's word.
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() >= MAX {
                return Err(de::Error::custom("list too long"));
            }
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn a_list_over_its_limit_is_refused_while_it_is_read() {
        assert!(cbor::decode::<List<u8, 2>>(&[0x82, 1, 2], 10).is_ok());
        assert!(cbor::decode::<List<u8, 2>>(&[0x83, 1, 2, 3], 10).is_err());
    }

    #[test]
    fn a_claimed_length_of_billions_reserves_nothing() {
        assert!(cbor::decode::<List<u8, 2>>(&[0x9a, 0xff, 0xff, 0xff, 0xff, 1], 10).is_err());
    }
}
