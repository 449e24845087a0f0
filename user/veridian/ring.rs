//! Hands a token around, on VeridianOS.
//!
//! Purpose: the memory is the object of the token that was granted behind the
//! console. Neighbours: `user/lib/src/programs/ring.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::arguments::Arguments;
use mayfly_user::programs::ring::{self, Member, Token};
use mayfly_user::veridian::memory::{PAGE, map, mmap, prot};
use mayfly_user::{Veridian, veridian};

mayfly_user::program!(Veridian, ring::run::<Ring>);

const READ_WRITE: u64 = prot::READ | prot::WRITE;

struct Ring;

impl Member for Ring {
    type System = Veridian;

    fn memory(_: &Arguments) -> Option<&'static Token> {
        let token = *veridian::granted().get(1)?;
        let place = mmap(0, PAGE, READ_WRITE, map::SHARED, Some(token), 0).ok()?;
        // SAFETY: a page was mapped there for good; all who use it use atomics.
        Some(unsafe { &*(place as *const Token) })
    }

    fn give_way() {
        // Whoever cannot give way asks again.
        let _ = veridian::yield_now();
    }
}
