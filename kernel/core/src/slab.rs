//! A table whose keys go stale when their entry goes.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

/// Key of an entry in a [`Table`] whose keys `T` marks.
pub struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Index of the entry, for tables that run beside the slab.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The key as a number below 2^63: 1 and up, and another one for each key.
    #[inline(always)]
    pub fn number(self) -> u64 {
        (u64::from(self.generation) << 32 | u64::from(self.index)) + 1
    }

    /// The key that has a number, if there could be one.
    #[inline(always)]
    pub fn from_number(number: u64) -> Option<Self> {
        let bits = number.checked_sub(1)?;
        let [index, generation] = [bits, bits >> 32].map(|half| half & u64::from(u32::MAX));
        Some(Self {
            index: u32::try_from(index).ok()?,
            generation: u32::try_from(generation).ok()?,
            of: PhantomData,
        })
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}
impl<T> Eq for Key<T> {}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Generations of an entry.
const GENERATIONS: u32 = u32::MAX >> 1;

struct Entry<T> {
    generation: u32,
    /// The entry has a key that is valid, whether its value is here or out.
    occupied: bool,
    value: Option<T>,
}

/// Values under keys that `K` marks. A value can be taken out for a while and put back.
pub struct Table<K, T> {
    entries: Vec<Entry<T>>,
    vacant: Vec<u32>,
    keys: PhantomData<fn() -> K>,
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            vacant: Vec::new(),
            keys: PhantomData,
        }
    }
}

impl<K, T> Table<K, T> {
    /// Entries with a valid key.
    pub fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// No entry has a valid key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes an entry, its value still out: it is to be [`put`](Table::put).
    pub fn reserve(&mut self) -> Key<K> {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                occupied: false,
                value: None,
            });
            u32::try_from(self.entries.len() - 1).expect("a slab has fewer than 2^32 entries")
        });
        let entry = &mut self.entries[index as usize];
        entry.occupied = true;
        Key {
            index,
            generation: entry.generation,
            of: PhantomData,
        }
    }

    fn entry(&self, key: Key<K>) -> Option<&Entry<T>> {
        let entry = self.entries.get(key.index as usize)?;
        (entry.occupied && entry.generation == key.generation).then_some(entry)
    }

    fn entry_mut(&mut self, key: Key<K>) -> Option<&mut Entry<T>> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.occupied && entry.generation == key.generation).then_some(entry)
    }

    /// The value, if the key is valid and the value is here.
    pub fn get(&self, key: Key<K>) -> Option<&T> {
        self.entry(key)?.value.as_ref()
    }

    /// The value, to change.
    pub fn get_mut(&mut self, key: Key<K>) -> Option<&mut T> {
        self.entry_mut(key)?.value.as_mut()
    }

    /// Takes the value out; its key stays valid.
    pub fn take(&mut self, key: Key<K>) -> Option<T> {
        self.entry_mut(key)?.value.take()
    }

    /// Puts a value that was reserved or taken in its place.
    pub fn put(&mut self, key: Key<K>, value: T) {
        if let Some(entry) = self.entry_mut(key) {
            entry.value = Some(value);
        }
    }

    /// Ends an entry: its key is stale from now on. Gives the value if it is here.
    pub fn remove(&mut self, key: Key<K>) -> Option<T> {
        let entry = self.entry_mut(key)?;
        entry.occupied = false;
        // 31 bits, so that no key's number has bit 63.
        entry.generation = (entry.generation + 1) & GENERATIONS;
        let value = entry.value.take();
        self.vacant.push(key.index);
        value
    }

    /// Keys and values that are here.
    pub fn iter(&self) -> impl Iterator<Item = (Key<K>, &T)> {
        (0..).zip(&self.entries).filter_map(|(index, entry)| {
            let key = Key {
                index,
                generation: entry.generation,
                of: PhantomData,
            };
            Some((key, entry.value.as_ref()?))
        })
    }
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
