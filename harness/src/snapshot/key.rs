//! What must be the same for one machine to begin as a copy of another.
//!
//! Neighbour: `cache` writes it into each file and compares line by line.

use mayfly_abi::Abi;

use crate::backend::kvm::has_hardware_virtualisation;
use crate::bundle;
use crate::error::Result;
use crate::image;
use crate::options::VmOptions;
use crate::terminal::Line;

/// Lines of "name=value"; equal keys, interchangeable machines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    text: String,
}

impl Key {
    /// The key of a machine with these options on this host.
    pub(crate) fn new(options: &VmOptions) -> Result<Self> {
        let cpuid =
            mayfly_vmm::cpuid_digest().map_err(|error| crate::backend::kvm::broken(&error))?;
        let VmOptions {
            memory_bytes,
            cpus,
            entry,
            command_line,
            ..
        } = options;
        // Where ring 0 is emulated it is off in all of them.
        let smap = has_hardware_virtualisation() && !options.is_counted();
        let text = format!(
            "guest={:016x}\nmachine={}\nprotocol={}\nmemory={memory_bytes}\ncpus={cpus}\n\
             entry={entry:?}\ncommand_line={command_line:?}\ncpuid={cpuid:08x}\nsmap={smap}\n",
            image::hash(),
            env!("MAYFLY_MACHINE_HASH"),
            mayfly_wire::VERSION,
        );
        Ok(Self { text })
    }

    /// The key of a machine with a probe open that came of one with this key,
    /// whose first time stamp was `entered_tsc`: times and seeds are that one's.
    pub(crate) fn with_probe(&self, abi: Abi, entered_tsc: u64) -> Self {
        let text = &self.text;
        let text = format!("{text}booted={entered_tsc}\nprobe={}\n", abi.name());
        Self { text }
    }

    /// The key of a machine in which that program stands at its prompt. What it
    /// came of has no name here: nobody has seen that machine.
    pub(crate) fn at_prompt(&self, line: Line, program: &str) -> Self {
        let text = &self.text;
        let text = format!("{text}terminal={line:?}\nprompt={program:?}\n");
        Self { text }
    }

    /// All lines.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A file name for it.
    pub(crate) fn file_name(&self) -> String {
        format!("{:016x}", bundle::hash(self.text.as_bytes()))
    }

    /// The first line in which another key differs, as that has it.
    pub(crate) fn difference<'a>(&self, other: &'a str) -> Option<&'a str> {
        let mut lines = self.text.lines();
        let differs = other.lines().find(|line| lines.next() != Some(line));
        differs.or_else(|| lines.next().map(|_| "it ends early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key { text: text.into() }
    }

    #[test]
    fn the_line_that_differs_is_told() {
        let mine = key("a=1\nb=2\n");
        assert_eq!(mine.difference("a=1\nb=2\n"), None);
        assert_eq!(mine.difference("a=1\nb=3\n"), Some("b=3"));
        assert_eq!(mine.difference("a=1\nb=2\nc=3\n"), Some("c=3"));
        assert_eq!(mine.difference("a=1\n"), Some("it ends early"));
    }

    #[test]
    fn other_keys_have_other_names() {
        assert_ne!(key("a=1\n").file_name(), key("a=2\n").file_name());
    }
}
