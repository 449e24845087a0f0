//! `mayfly shell` as people and scripts use it.
//!
//! Purpose: sessions on a pseudo-terminal whose screen is looked at, and scripts
//! in pipes. One concern a file: `costs` (what a key takes of the kernel),
//! `editing` (keys, history, completion, windows),
//! `jobs` (programs, the foreground, Ctrl-C), `host` (the menu, machines, the
//! terminal afterwards, logs), `prompt` (sessions that begin at a prompt that is
//! kept), `script` (without a terminal), `mistakes` (what
//! is said about them). `pty` has the terminal. `MAYFLY_BACKEND=qemu` runs them
//! on QEMU.

mod costs;
mod editing;
mod host;
mod jobs;
mod mistakes;
mod prompt;
mod pty;
mod script;
