//! Why something went wrong, in words, and what to do.
//!
//! Neighbours: `system` has the calls; every complaint about a file comes here.

use alloc::format;
use alloc::string::String;

use mayfly_abi::patchwork::Errno;
use mayfly_shell::parse::quoted;

use super::system;

/// Why a call failed.
pub(crate) fn describe(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => "no such file or directory",
        Errno::EACCES => "not allowed",
        Errno::EISDIR => "it is a directory",
        Errno::ENOTDIR => "it is no directory",
        Errno::EEXIST => "it exists already",
        Errno::ENOTEMPTY => "the directory is not empty",
        Errno::ENOMEM => "no memory is left",
        Errno::EMFILE => "too many files are open",
        Errno::EINVAL => "the name has a character that a path cannot have",
        Errno::ENAMETOOLONG => "the name is too long",
        Errno::EBADFLAG => "there is no such flag behind the colon",
        Errno::ENOSYS => "this file cannot do that",
        Errno::EBADF => "it was not opened for that",
        Errno::EPIPE => "nobody reads it any more",
        Errno::EINTR => "interrupted",
        Errno::E2BIG => "too many words",
        // The shell's own word; the kernel does not say it.
        Errno::EFBIG => "it is more than the shell has room for",
        other => other.name(),
    }
}

/// A file, why it was no good, and where to look for a better one.
pub(crate) fn about(name: &str, errno: Errno) -> String {
    // Of some names the kernel only says that they are none.
    let is_odd = matches!(errno, Errno::EINVAL | Errno::ENOENT);
    let why = match errno {
        _ if name.is_empty() => "the name is empty",
        _ if is_odd && name.contains('*') => "no name fits this pattern",
        Errno::EINVAL if is_directory(name) => describe(Errno::EISDIR),
        errno => describe(errno),
    };
    let shown = if name.is_empty() { "''" } else { name };
    let advice = match errno {
        Errno::EINVAL | Errno::ENOENT | Errno::EISDIR | Errno::ENOTDIR => {
            let directory = directory_of(name);
            let blank = if directory.is_empty() { "" } else { " " };
            let directory = if directory.is_empty() {
                String::new()
            } else {
                quoted(directory)
            };
            format!("\n  try: ls{blank}{directory}")
        }
        Errno::ENOTEMPTY => format!("\n  try: ls {}", quoted(name)),
        _ => String::new(),
    };
    format!("{shown}: {why}{advice}")
}

fn is_directory(name: &str) -> bool {
    system::stat(name).is_ok_and(|stat| stat.is_directory())
}

/// The nearest directory on the way to a name that there is; nothing is here.
fn directory_of(name: &str) -> &str {
    let mut rest = name;
    while !rest.is_empty() && !is_directory(rest) {
        rest = match rest.trim_end_matches('/').rfind('/') {
            Some(0) => "/",
            Some(at) => &rest[..at],
            None => "",
        };
    }
    rest
}
