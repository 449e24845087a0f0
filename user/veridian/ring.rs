//! Hands a token around, on VeridianOS.
//!
//! Purpose: the memory is the object of the token that was granted behind the
//! console. Neighbours: `user/lib/src/programs/ring.rs` has the program.

#![cfg_attr(target_os = "none", no_std, no_main)]

use mayfly_abi::veridian::nr;
use mayfly_user::arguments::Arguments;
use mayfly_user::programs::ring::{self, Member, Token};
use mayfly_user::{System as _, Veridian, veridian};

mayfly_user::program!(Veridian, ring::run::<Ring>);

/// Protection: to be read and written. Flag: shared.
const READ_WRITE: u64 = 3;
const SHARED: u64 = 2;

struct Ring;

impl Member for Ring {
    type System = Veridian;

    fn memory(_: &Arguments) -> Option<&'static Token> {
        let token = *veridian::granted().get(1)?;
        let words = [0, 4096, READ_WRITE, SHARED, token, 0];
        // SAFETY: memory is mapped where nothing is.
        let place = unsafe { Veridian::call(nr::MMAP, words) };
        // SAFETY: a page was mapped there for good; all who use it use atomics.
        (Veridian::error(place) == 0).then(|| unsafe { &*(place as *const Token) })
    }

    fn give_way() {
        // Whoever cannot give way asks again.
        let _ = veridian::yield_now();
    }
}
