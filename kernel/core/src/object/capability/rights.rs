//! Rights of a capability, as a set (specs/veridian.md 4.3).

/// What the holder of a capability may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read, receive, wait, inspect.
    pub const READ: Self = Self(1);
    /// Write, send.
    pub const WRITE: Self = Self(2);
    /// Execute, bind, start.
    pub const EXECUTE: Self = Self(4);
    /// Pass on to another process.
    pub const GRANT: Self = Self(8);
    /// May be named in a revocation.
    pub const REVOKE: Self = Self(0x10);
    /// Delete, kill.
    pub const DELETE: Self = Self(0x20);
    /// Map, manage.
    pub const MODIFY: Self = Self(0x40);
    /// Mint.
    pub const CREATE: Self = Self(0x80);
    /// Every right.
    pub const ALL: Self = Self(0xff);
    /// What a capability that is minted from a space can have at most.
    pub const MINTED: Self = Self(0x7f);

    /// The set that an argument word means; `None` when it has an undefined bit.
    #[inline(always)]
    pub fn from_word(word: u64) -> Option<Self> {
        let bits = u32::try_from(word).ok()?;
        (bits <= Self::ALL.0).then_some(Self(bits))
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of `other` is in this set.
    #[inline(always)]
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of the set.
    pub const fn bits(self) -> u32 {
        self.0
    }
}
