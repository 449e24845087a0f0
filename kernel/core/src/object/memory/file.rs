//! Open files that are memory: those of PatchworkOS's `/dev/shmem`.

use alloc::rc::Rc;
use core::cell::OnceCell;

use crate::error::KernelError;
use crate::object::memory::MemoryObject;

/// Memory whose size its first mapping settles.
#[derive(Debug, Default)]
pub struct MemoryFile {
    object: OnceCell<Rc<MemoryObject>>,
}

impl MemoryFile {
    /// A file of memory that there is.
    pub fn of(object: Rc<MemoryObject>) -> Self {
        Self {
            object: OnceCell::from(object),
        }
    }

    /// Its object, once its size is settled.
    pub fn settled(&self) -> Option<&Rc<MemoryObject>> {
        self.object.get()
    }

    /// Its object, made if this is the first time.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn object(
        &self,
        make: impl FnOnce() -> Result<Rc<MemoryObject>, KernelError>,
    ) -> Result<Rc<MemoryObject>, KernelError> {
        let object = match self.object.get() {
            Some(object) => object,
            None => {
                let object = make()?;
                self.object.get_or_init(|| object)
            }
        };
        Ok(Rc::clone(object))
    }
}
