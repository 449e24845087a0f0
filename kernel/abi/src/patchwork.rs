//! PatchworkOS system calls (`specs/patchwork.md` §1, §2, §5; upstream da8a090).

use crate::convention::{Convention, Register, Slot};
use crate::table::{Address, Duration, Flags, Handle, Input, Load, Output, Store, Text, calls};

/// `RAX` = number; `RDI RSI RDX R10 R8 R9` = arguments (spec §1).
pub const CONVENTION: Convention = Convention {
    number: Register::Rax,
    number_bits: 64,
    arguments: [
        Slot::Register(Register::Rdi),
        Slot::Register(Register::Rsi),
        Slot::Register(Register::Rdx),
        Slot::Register(Register::R10),
        Slot::Register(Register::R8),
        Slot::Register(Register::R9),
    ],
    extension_block: false,
};

/// Result of a failed call that returns an integer (spec §2). Calls that
/// return an address fail with 0.
pub const ERR: u64 = u64::MAX;

calls! {
    /// Ends the process with a status.
    0 PROCESS_EXIT = ProcessExit { status: i32 } -> Never;
    /// Ends the calling thread.
    1 THREAD_EXIT = ThreadExit {} -> Never;
    /// Starts a process; loading happens in the child.
    2 SPAWN = Spawn { argv: Load, flags: Flags } -> Handle;
    /// Sleeps; "succeeds" with `ETIMEDOUT`.
    3 NANOSLEEP = Nanosleep { timeout: Duration } -> Number;
    /// Error number of the thread's last failed call.
    4 ERRNO = Errno {} -> Number;
    /// Process id.
    5 GETPID = Getpid {} -> Handle;
    /// Thread id.
    6 GETTID = Gettid {} -> Handle;
    /// Nanoseconds since boot.
    7 UPTIME = Uptime {} -> Number;
    /// Unix time in seconds, also stored at the pointer.
    8 UNIX_EPOCH = UnixEpoch { time: Store } -> Number;
    /// Opens a file; flags are part of the path.
    9 OPEN = Open { path: Text } -> Handle;
    /// Opens a file with two ends.
    10 OPEN2 = Open2 { path: Text, fds: Store } -> Nothing;
    /// Closes a descriptor.
    11 CLOSE = Close { fd: Handle } -> Nothing;
    /// Reads from a file.
    12 READ = Read { fd: Handle, buffer: Output, count: u64 } -> Number;
    /// Writes to a file.
    13 WRITE = Write { fd: Handle, buffer: Input, count: u64 } -> Number;
    /// Moves a file's position.
    14 SEEK = Seek { fd: Handle, offset: i64, origin: u8 } -> Number;
    /// Device control; no driver implements it.
    15 IOCTL = Ioctl { fd: Handle, request: u64, argument: Input, size: u64 } -> Number;
    /// Changes the working directory.
    16 CHDIR = Chdir { path: Text } -> Nothing;
    /// Waits for events on files.
    17 POLL = Poll { fds: Load, count: u64, timeout: Duration } -> Number;
    /// Describes a file.
    18 STAT = Stat { path: Text, stat: Store } -> Nothing;
    /// Maps memory.
    19 MMAP = Mmap { fd: Handle, address: Address, length: u64, prot: Flags } -> Address;
    /// Unmaps memory.
    20 MUNMAP = Munmap { address: Address, length: u64 } -> Address;
    /// Changes the protection of mapped memory.
    21 MPROTECT = Mprotect { address: Address, length: u64, prot: Flags } -> Address;
    /// Lists a directory.
    22 GETDENTS = Getdents { fd: Handle, buffer: Output, count: u64 } -> Number;
    /// Starts a thread on a stack of the kernel's choice.
    23 THREAD_CREATE = ThreadCreate { entry: Address, argument: Address } -> Handle;
    /// Gives the processor away.
    24 YIELD = Yield {} -> Nothing;
    /// Duplicates a descriptor.
    25 DUP = Dup { fd: Handle } -> Handle;
    /// Duplicates a descriptor to a given number.
    26 DUP2 = Dup2 { old: Handle, new: Handle } -> Handle;
    /// Waits on or wakes an address of the process.
    27 FUTEX = Futex { address: Address, value: u64, operation: u32, timeout: Duration } -> Number;
    /// Removes a file or directory.
    28 REMOVE = Remove { path: Text } -> Nothing;
    /// Makes a second name for a file.
    29 LINK = Link { old: Text, new: Text } -> Nothing;
    /// Puts an open file under a key.
    30 SHARE = Share { key: Store, fd: Handle, timeout: Duration } -> Nothing;
    /// Takes the open file under a key.
    31 CLAIM = Claim { key: Load } -> Handle;
    /// Mounts an open file over a path.
    32 BIND = Bind { source: Handle, mountpoint: Text, flags: Flags } -> Nothing;
    /// Opens a file relative to an open one.
    33 OPENAT = Openat { from: Handle, path: Text } -> Handle;
}

macro_rules! errnos {
    ($($name:ident = $code:literal,)*) => {
        /// Error number (spec §2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        #[expect(missing_docs, reason = "names and meanings are those of <errno.h>")]
        pub enum Errno { $( $name = $code, )* }

        impl Errno {
            /// Every error number, in ascending order.
            pub const ALL: &'static [Errno] = &[ $( Errno::$name, )* ];

            /// Name, as <errno.h> spells it.
            pub const fn name(self) -> &'static str {
                match self { $( Errno::$name => stringify!($name), )* }
            }

            /// Number.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// Error with the given number.
            pub fn from_code(code: u32) -> Option<Errno> {
                Errno::ALL.iter().copied().find(|errno| errno.code() == code)
            }
        }
    };
}

errnos! {
    EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, ENOEXEC = 8,
    EBADF = 9, ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, ENOTBLK = 15,
    EBUSY = 16, EEXIST = 17, EXDEV = 18, ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22,
    ENFILE = 23, EMFILE = 24, ENOTTY = 25, ETXTBSY = 26, EFBIG = 27, ENOSPC = 28, ESPIPE = 29,
    EROFS = 30, EMLINK = 31, EPIPE = 32, EDOM = 33, ERANGE = 34, EDEADLK = 35, ENAMETOOLONG = 36,
    ENOLCK = 37, ENOSYS = 38, ENOTEMPTY = 39, ELOOP = 40, ENOMSG = 42, EIDRM = 43, ECHRNG = 44,
    EL2NSYNC = 45, EL3HLT = 46, EL3RST = 47, ELNRNG = 48, EUNATCH = 49, ENOCSI = 50, EL2HLT = 51,
    EBADE = 52, EBADR = 53, EXFULL = 54, ENOANO = 55, EBADRQC = 56, EBADSLT = 57, EBFONT = 59,
    ENOSTR = 60, ENODATA = 61, ETIME = 62, ENOSR = 63, ENONET = 64, ENOPKG = 65, EREMOTE = 66,
    ENOLINK = 67, EADV = 68, ESRMNT = 69, ECOMM = 70, EPROTO = 71, EMULTIHOP = 72, EDOTDOT = 73,
    EBADMSG = 74, EOVERFLOW = 75, ENOTUNIQ = 76, EBADFD = 77, EREMCHG = 78, ELIBACC = 79,
    ELIBBAD = 80, ELIBSCN = 81, ELIBMAX = 82, ELIBEXEC = 83, EILSEQ = 84, ERESTART = 85,
    ESTRPIPE = 86, EUSERS = 87, ENOTSOCK = 88, EDESTADDRREQ = 89, EMSGSIZE = 90, EPROTOTYPE = 91,
    ENOPROTOOPT = 92, EPROTONOSUPPORT = 93, ESOCKTNOSUPPORT = 94, EOPNOTSUPP = 95,
    EPFNOSUPPORT = 96, EAFNOSUPPORT = 97, EADDRINUSE = 98, EADDRNOTAVAIL = 99, ENETDOWN = 100,
    ENETUNREACH = 101, ENETRESET = 102, ECONNABORTED = 103, ECONNRESET = 104, ENOBUFS = 105,
    EISCONN = 106, ENOTCONN = 107, ESHUTDOWN = 108, ETOOMANYREFS = 109, ETIMEDOUT = 110,
    ECONNREFUSED = 111, EHOSTDOWN = 112, EHOSTUNREACH = 113, EALREADY = 114, EINPROGRESS = 115,
    ESTALE = 116, EUCLEAN = 117, ENOTNAM = 118, ENAVAIL = 119, EISNAM = 120, EREMOTEIO = 121,
    EDQUOT = 122, ENOMEDIUM = 123, EMEDIUMTYPE = 124, ECANCELED = 125, ENOKEY = 126,
    EKEYEXPIRED = 127, EKEYREVOKED = 128, EKEYREJECTED = 129, EOWNERDEAD = 130,
    ENOTRECOVERABLE = 131, ERFKILL = 132, EUNKNOWNCTL = 133, EBADPATH = 134, EBADFLAG = 135,
    ENOTSUP = 136, EDISCONNECTED = 137, ESPAWNFAIL = 138, ENOLABEL = 139,
}

/// Name of an error number.
pub fn error_name(code: u32) -> Option<&'static str> {
    Errno::from_code(code).map(Errno::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_ascend_to_139_without_41_and_58() {
        let codes = Errno::ALL.iter().map(|errno| errno.code());
        assert!(codes.eq((1..140).filter(|code| ![41, 58].contains(code))));
        assert_eq!(Errno::ALL.len(), 137);
    }

    #[test]
    fn error_numbers_are_those_of_the_specification() {
        let some = [
            (Errno::EBADF, 9),
            (Errno::EFAULT, 14),
            (Errno::EINVAL, 22),
            (Errno::ENOSYS, 38),
            (Errno::EOVERFLOW, 75),
            (Errno::EOPNOTSUPP, 95),
            (Errno::ETIMEDOUT, 110),
            (Errno::ERFKILL, 132),
            (Errno::EUNKNOWNCTL, 133),
            (Errno::EBADPATH, 134),
            (Errno::EBADFLAG, 135),
            (Errno::ENOTSUP, 136),
            (Errno::EDISCONNECTED, 137),
            (Errno::ESPAWNFAIL, 138),
            (Errno::ENOLABEL, 139),
        ];
        for (errno, code) in some {
            assert_eq!(errno.code(), code);
            assert_eq!(Errno::from_code(code), Some(errno));
            assert_eq!(error_name(code), Some(errno.name()));
        }
    }

    #[test]
    fn unused_numbers_have_no_name() {
        assert!(
            [0, 41, 58, 140, u32::MAX]
                .iter()
                .all(|&code| error_name(code).is_none())
        );
    }
}
