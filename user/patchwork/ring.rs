//! Hands a token around, on PatchworkOS.
//!
//! Purpose: the memory is a file, which the fourth argument names.
//! Neighbours: `user/lib/src/programs/ring.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_user::arguments::Arguments;
use mayfly_user::programs::ring::{self, Member, Token};
use mayfly_user::{Patchwork, patchwork};

mayfly_user::program!(Patchwork, ring::run::<Ring>);

struct Ring;

impl Member for Ring {
    type System = Patchwork;

    fn memory(arguments: &Arguments) -> Option<&'static Token> {
        let file = patchwork::open(arguments.text(4)?).ok()?;
        let place = patchwork::map(file, 4096, 3).ok()?;
        // SAFETY: a page was mapped there for good; all who use it use atomics.
        Some(unsafe { &*(place as *const Token) })
    }

    fn give_way() {
        // Whoever cannot give way asks again.
        let _ = patchwork::yield_now();
    }
}
