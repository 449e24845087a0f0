//! What a region promises, and to whom its frames belong.

use super::mapping::Mappings;
use super::{Backing, Region, Touch};
use crate::port::{Access, PageFrame};

impl Region {
    /// Its pages are the space's own, and no file's.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.backing, Backing::Zero | Backing::Ones)
    }

    /// This region promises the same as another one of the space's own pages.
    #[inline(always)]
    pub(super) fn promises_as(&self, other: &Region) -> bool {
        let same = matches!(
            (&self.backing, &other.backing),
            (Backing::Zero, Backing::Zero) | (Backing::Ones, Backing::Ones)
        );
        same && self.access == other.access
    }

    /// A program may touch it so.
    pub(super) fn allows(&self, touch: Touch) -> bool {
        match touch {
            Touch::Read => self.access.read,
            Touch::Write => self.access.write,
            Touch::Execute => self.access.execute,
        }
    }

    /// This region begins where `below` ends, and promises the same.
    pub(super) fn goes_on_from(&self, below: &Region) -> bool {
        let same = match (self.backing, below.backing) {
            (Backing::Zero, Backing::Zero) | (Backing::Ones, Backing::Ones) => true,
            (Backing::Object(this), Backing::Object(other)) => this == other,
            _ => false,
        };
        self.start == below.end && same && self.access == below.access
    }

    /// The frame behind a page does not belong to the space: it is a file's or
    /// an object's.
    pub(super) fn lends(&self, mappings: &Mappings, page: u64, frame: PageFrame) -> bool {
        match self.backing {
            Backing::File(part) => part.frame_of(page) == Some(frame),
            Backing::Object(slot) => {
                let mapping = mappings.get(slot);
                !mapping.manner.private
                    || mapping.object.frame(mapping.page_at(page)) == Some(frame)
            }
            Backing::Zero | Backing::Ones => false,
        }
    }

    /// Stores go to copies of the space's own.
    pub(super) fn copies_on_write(&self, mappings: &Mappings) -> bool {
        match self.backing {
            Backing::File(_) => true,
            Backing::Object(slot) => mappings.get(slot).manner.private,
            Backing::Zero | Backing::Ones => false,
        }
    }

    /// Programs may be given such an access.
    pub(super) fn may_become(&self, mappings: &Mappings, access: Access) -> bool {
        match self.backing {
            Backing::Object(slot) => mappings.get(slot).manner.most.contains(access),
            _ => true,
        }
    }
}
