//! Trace records on `mayfly.trace`: one per system call, in order of return.
//!
//! The port carries records back to back, without frames: a fixed part of
//! [`FIXED`] bytes in little-endian words, then `detail` bytes of what the
//! call's pointer argument pointed at (a path, or the start of what it writes).

/// Bytes of the fixed part.
pub const FIXED: usize = 104;
/// Most bytes of detail.
pub const DETAIL_MAX: usize = 56;

/// One system call, as the kernel saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Process.
    pub pid: u64,
    /// Thread.
    pub tid: u32,
    /// ABI code.
    pub abi: u8,
    /// Bytes of detail that follow the fixed part.
    pub detail: u8,
    /// The call has no result: it ended its thread.
    pub ended: bool,
    /// Error code as the ABI counts them, 0 for success.
    pub error: u32,
    /// Call number.
    pub number: u64,
    /// Argument words.
    pub arguments: [u64; 6],
    /// The result register.
    pub result: u64,
    /// TSC when the kernel had the call.
    pub entered_tsc: u64,
    /// TSC when the kernel was done with it.
    pub left_tsc: u64,
}

impl Record {
    /// The fixed part.
    pub fn to_bytes(&self) -> [u8; FIXED] {
        let mut bytes = [0; FIXED];
        let small = u64::from(self.tid)
            | u64::from(self.abi) << 32
            | u64::from(self.detail) << 40
            | u64::from(self.ended) << 48;
        let [a1, a2, a3, a4, a5, a6] = self.arguments;
        let words = [
            self.pid,
            small,
            u64::from(self.error),
            self.number,
            a1,
            a2,
            a3,
            a4,
            a5,
            a6,
            self.result,
            self.entered_tsc,
            self.left_tsc,
        ];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads the fixed part back.
    pub fn from_bytes(bytes: &[u8; FIXED]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
            u64::from_le_bytes(word)
        };
        let low = |word: u64| (word & 0xffff_ffff) as u32;
        Self {
            pid: word(0),
            tid: low(word(1)),
            abi: (word(1) >> 32 & 0xff) as u8,
            detail: (word(1) >> 40 & 0xff) as u8,
            ended: word(1) >> 48 & 1 == 1,
            error: low(word(2)),
            number: word(3),
            arguments: [word(4), word(5), word(6), word(7), word(8), word(9)],
            result: word(10),
            entered_tsc: word(11),
            left_tsc: word(12),
        }
    }
}
