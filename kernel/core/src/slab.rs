//! A table whose keys go stale when their entry goes.

use alloc::vec::Vec;
use core::fmt;
use core::hint::cold_path;
use core::marker::PhantomData;
use core::num::NonZeroU64;

use crate::error::KernelError;

/// Key of an entry in a [`Table`] whose keys `T` marks: one word, so that it
/// is moved and compared as one.
pub struct Key<T> {
    /// The generation in the upper half; the index, from 1 on, in the lower.
    number: NonZeroU64,
    of: PhantomData<fn() -> T>,
}

/// Where the generation begins.
const GENERATION_SHIFT: u32 = 32;
/// No key's number has bit 63.
const NUMBERS: u64 = u64::MAX >> 1;

impl<T> Key<T> {
    /// Index of the entry, from 1 on, for tables that run beside the slab.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub fn index(self) -> u32 {
        self.number.get() as u32
    }

    /// The key as a number below 2^63: 1 and up, and another one for each key.
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.number.get()
    }

    /// The key that has a number, if there could be one.
    #[inline(always)]
    pub fn from_number(number: u64) -> Option<Self> {
        Some(Self {
            number: NonZeroU64::new(number)?,
            of: PhantomData,
        })
    }

    /// The key of the same entry that comes after this one.
    fn next(self) -> Self {
        let next = self.number.get().wrapping_add(1 << GENERATION_SHIFT) & NUMBERS;
        Self {
            number: NonZeroU64::new(next).unwrap_or(self.number),
            of: PhantomData,
        }
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<T> Eq for Key<T> {}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            self.index(),
            self.number.get() >> GENERATION_SHIFT
        )
    }
}

/// Entries that come together, when there is no vacant one.
const BATCH: usize = 8;

struct Entry<T> {
    /// Number of its key, which is valid whether the value is here or out; 0
    /// is none.
    number: u64,
    value: Option<T>,
}

/// Values under keys that `K` marks. A value can be taken out for a while and put back.
pub struct Table<K, T> {
    /// The first of them is no key's.
    entries: Vec<Entry<T>>,
    /// The next keys of entries that have none.
    vacant: Vec<Key<K>>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
        }
    }
}

impl<K, T> Table<K, T> {
    /// Entries with a valid key.
    pub fn len(&self) -> usize {
        (self.entries.len() - self.vacant.len()).saturating_sub(1)
    }

    /// No entry has a valid key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next entry takes an index that none has had.
    pub fn is_full(&self) -> bool {
        self.vacant.is_empty()
    }

    /// Makes sure that an entry can be made and given up without memory. Says
    /// how many indices there have been.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    pub fn make_room(&mut self) -> Result<usize, KernelError> {
        if self.vacant.is_empty() {
            let length = self.entries.len().max(1) + BATCH;
            let entries = make_room_in(&mut self.entries, length);
            entries.and_then(|()| make_room_in(&mut self.vacant, length))?;
            self.add_batch();
        }
        Ok(self.entries.len())
    }

    /// As [`reserve`](Self::reserve), where the table may have to grow.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`].
    #[inline]
    pub fn try_reserve(&mut self) -> Result<Key<K>, KernelError> {
        if self.vacant.is_empty() {
            cold_path();
            self.make_room()?;
        }
        Ok(self.reserve())
    }

    /// Makes an entry, its value still out: it is to be [`put`](Table::put).
    #[inline]
    pub fn reserve(&mut self) -> Key<K> {
        let key = match self.vacant.pop() {
            Some(key) => key,
            None => self.grow(),
        };
        if let Some(entry) = self.entries.get_mut(key.index() as usize) {
            entry.number = key.number();
        }
        key
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Key<K> {
        self.add_batch();
        self.vacant.pop().expect("there are more entries")
    }

    /// Adds entries, and room to note that they are vacant. No key has the
    /// first of all.
    fn add_batch(&mut self) {
        let first = self.entries.len().max(1);
        self.entries.resize_with(first + BATCH, || Entry {
            number: 0,
            value: None,
        });
        self.vacant.reserve(self.entries.len());
        let key = |index: usize| {
            let number = u32::try_from(index).expect("a slab has fewer than 2^32 entries");
            Key::from_number(number.into()).expect("no key has the first entry")
        };
        self.vacant.extend((first..first + BATCH).rev().map(key));
    }

    #[inline(always)]
    fn entry(&self, key: Key<K>) -> Option<&Entry<T>> {
        let entry = self.entries.get(key.index() as usize)?;
        (entry.number == key.number()).then_some(entry)
    }

    #[inline(always)]
    fn entry_mut(&mut self, key: Key<K>) -> Option<&mut Entry<T>> {
        let entry = self.entries.get_mut(key.index() as usize)?;
        (entry.number == key.number()).then_some(entry)
    }

    /// The value, if the key is valid and the value is here.
    #[inline]
    pub fn get(&self, key: Key<K>) -> Option<&T> {
        self.entry(key)?.value.as_ref()
    }

    /// The value, to change.
    #[inline]
    pub fn get_mut(&mut self, key: Key<K>) -> Option<&mut T> {
        self.entry_mut(key)?.value.as_mut()
    }

    /// Where the value is, if it is here: for whoever takes it out later. Its key
    /// stays valid.
    #[inline(always)]
    pub fn slot(&mut self, key: Key<K>) -> Option<&mut Option<T>> {
        Some(&mut self.entry_mut(key)?.value)
    }

    /// Takes the value out; its key stays valid.
    #[inline]
    pub fn take(&mut self, key: Key<K>) -> Option<T> {
        self.entry_mut(key)?.value.take()
    }

    /// Puts a value that was reserved or taken in its place.
    #[inline]
    pub fn put(&mut self, key: Key<K>, value: T) {
        if let Some(entry) = self.entry_mut(key) {
            let previous = entry.value.replace(value);
            debug_assert!(previous.is_none(), "it was reserved or taken");
            // Not dropped: there is nothing, which would be looked at.
            core::mem::forget(previous);
        }
    }

    /// As [`put`](Self::put), of a value that was taken and whose key cannot have
    /// gone stale since.
    #[inline(always)]
    pub fn put_back(&mut self, key: Key<K>, value: T) {
        if let Some(entry) = self.entries.get_mut(key.index() as usize) {
            debug_assert!(entry.number == key.number() && entry.value.is_none());
            // Not dropped, as above.
            core::mem::forget(entry.value.replace(value));
        } else {
            cold_path();
        }
    }

    /// Ends an entry: its key is stale from now on. Gives the value if it is here.
    #[inline]
    pub fn remove(&mut self, key: Key<K>) -> Option<T> {
        let entry = self.entry_mut(key)?;
        entry.number = 0;
        let value = entry.value.take();
        self.vacant.push(key.next());
        value
    }

    /// Keys and values that are here.
    pub fn iter(&self) -> impl Iterator<Item = (Key<K>, &T)> {
        self.entries
            .iter()
            .filter_map(|entry| Some((Key::from_number(entry.number)?, entry.value.as_ref()?)))
    }
}

/// Makes sure that a list can have so many elements.
fn make_room_in<T>(list: &mut Vec<T>, length: usize) -> Result<(), KernelError> {
    let missing = length.saturating_sub(list.len());
    let doubled = list.try_reserve(missing);
    // The block that the list lies in may have more room than was asked for.
    let grown = doubled.or_else(|_| list.try_reserve_exact(missing));
    Ok(grown?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_stale_when_their_entry_goes() {
        let mut slab: Table<(), _> = Table::default();
        let first = slab.reserve();
        slab.put(first, 'a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.reserve();
        slab.put(second, 'b');
        assert_eq!(first.index(), second.index());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn a_value_taken_out_keeps_its_key() {
        let mut slab: Table<(), _> = Table::default();
        let key = slab.reserve();
        slab.put(key, 7);
        assert_eq!(slab.take(key), Some(7));
        assert_eq!(slab.get(key), None);
        assert_eq!(slab.len(), 1);
        slab.put(key, 8);
        assert_eq!(slab.get(key), Some(&8));
    }
}
