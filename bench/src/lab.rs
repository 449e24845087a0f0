//! What can run programs and count what they cost.
//!
//! Purpose: the seam between this crate, which judges figures, and machines,
//! which give them. Neighbours: the command `mayfly bench` implements [`Lab`]
//! with microVMs; tests implement it with made-up figures.

/// A function of the kernel, and the line of it that ran most.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its source file; empty where there is no line table.
    pub file: String,
    /// A line in it, 0 where there is no line table.
    pub line: u32,
}

impl Function {
    /// Its file and line, as far as they are known.
    pub fn place(&self) -> String {
        match (self.file.as_str(), self.line) {
            ("", _) => String::new(),
            (file, 0) => file.into(),
            (file, line) => format!("{file}:{line}"),
        }
    }
}

/// What one round of an operation cost, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Kernel instructions, of all processes.
    pub instructions: u64,
    /// Those that are the same whichever way calls take into the kernel.
    pub body: u64,
    /// The instructions by process; who began the round is the first.
    pub parts: Vec<u64>,
    /// Number of times the kernel slept.
    pub halts: u64,
    /// The instructions by function.
    pub functions: Vec<(Function, u64)>,
}

/// Times of rounds, in ticks of the TSC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// Of nothing, around which they were taken.
    pub empty: Vec<u64>,
    /// Of each round; the first is that of a cold machine.
    pub rounds: Vec<u64>,
}

/// What the performance counters of the processor counted of the guest alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Core cycles.
    pub cycles: u64,
    /// Instructions, of the kernel and of programs.
    pub instructions: u64,
}

/// What can be done to a machine as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The kernel's own part of a boot: its first instruction to its first message.
    Boot,
    /// A machine made, booted, and answering a ping.
    Cold,
    /// The same with a program run, and the machine gone.
    ColdHello,
    /// A machine taken down.
    Destroy,
    /// The least that this host can do: a bare machine made, run and gone.
    Floor,
    /// An instruction of ring 0 that does next to nothing, without a kernel.
    Instruction,
    /// A copy of a booted machine made and gone.
    Fork,
    /// The same with a ping.
    ForkPing,
    /// The same with the first call of a probe.
    ForkCall,
    /// The same with a program run.
    ForkHello,
    /// A sibling in the middle of a test, one call in it, the sibling gone.
    Sibling,
    /// The time of one of many copies with a first call each, one after the other
    /// on one thread, all gone at the end.
    ForkRate,
    /// A machine reset to its beginning, and a first call in it.
    ResetCall,
    /// The time of one of many such resets with a call each, one after the other.
    ResetRate,
    /// A machine reset to its beginning, and answering a ping.
    Reset,
    /// The tool as a process that runs nothing, from exec to exit.
    Process,
    /// The tool running a program in a copy of a machine on disk.
    RunCached,
    /// The tool running a program in a machine that boots.
    RunCold,
    /// A hundred tests with a machine each, as `cargo test` runs them.
    Tests,
    /// Memory of a process with one machine beyond the machine's own, in bytes.
    Footprint,
}

/// What can run programs and count what they cost.
pub trait Lab {
    /// Rounds of an operation of a program, counted; `None` where that cannot be.
    ///
    /// # Errors
    /// Whatever goes wrong in the machine.
    fn count(
        &mut self,
        program: &str,
        operation: &str,
        rounds: u32,
    ) -> anyhow::Result<Option<Vec<Round>>>;

    /// Rounds of an operation of a program, timed, on a machine of their own.
    ///
    /// # Errors
    /// Whatever goes wrong in the machine.
    fn time(&mut self, program: &str, operation: &str, rounds: u32) -> anyhow::Result<Ticks>;

    /// All of a program that does so many rounds of an operation, by performance
    /// counters; `None` where the host has none.
    ///
    /// # Errors
    /// Whatever goes wrong in the machine.
    fn counters(
        &mut self,
        program: &str,
        operation: &str,
        rounds: u32,
    ) -> anyhow::Result<Option<Counters>>;

    /// The boot of the kernel, counted; `None` where that cannot be.
    ///
    /// # Errors
    /// Whatever goes wrong in the machine.
    fn boot(&mut self) -> anyhow::Result<Option<Round>>;

    /// Does a task once; ticks that it took, or bytes
    /// ([`unit`](crate::suite::unit)).
    ///
    /// # Errors
    /// Whatever goes wrong with the machine.
    fn task(&mut self, task: Task) -> anyhow::Result<u64>;
}
