//! What the menu does: machines beside each other, and a snapshot.

use mayfly::{BackendKind, ExitStatus};

use super::{Machine, Session, put};
use crate::cli::say::{WRONG, styled};
use crate::cli::shell::menu::{self, Choice};

impl Session {
    /// Does what the menu was asked for; true to leave.
    pub(super) fn choose(&mut self, choice: Choice) -> anyhow::Result<bool> {
        if choice == Choice::Unknown {
            put(b"\x07")?;
            self.show_menu()?;
            return Ok(false);
        }
        self.menu = false;
        if choice == Choice::Quit {
            // What comes next begins where the menu was, below the prompt.
            self.show(b"\r\x1b[2K")?;
            return Ok(true);
        }
        // The cursor goes back to the row that it came from.
        self.show(b"\r\x1b[2K\x1b[A")?;
        if !self.machine().at_prompt {
            self.show(b"\r\n")?;
        }
        match choice {
            Choice::Send => self.machine().terminal.types(&[menu::KEY])?,
            Choice::Fork => match self.sibling() {
                Ok(sibling) => {
                    let number = sibling.number;
                    self.say(format!(
                        "machine {number} goes on from here; Ctrl-] n: the next one"
                    ));
                    self.machines.push(sibling);
                    self.go_to(self.machines.len() - 1)?;
                }
                Err(error) => self.say(styled(WRONG, error)),
            },
            Choice::Next => {
                if self.machines.len() == 1 {
                    self.say("there is one machine only; Ctrl-] f makes another".into());
                }
                self.go_to((self.here + 1) % self.machines.len())?;
                let number = self.machine().number;
                if self.machines.len() > 1 {
                    self.say(format!("machine {number}"));
                }
            }
            Choice::Snapshot => match self.sibling() {
                Ok(kept) => {
                    self.kept = Some(kept);
                    self.say("snapshot taken; Ctrl-] b goes back to it".into());
                }
                Err(error) => self.say(styled(WRONG, error)),
            },
            Choice::Back => self.back()?,
            Choice::Quit | Choice::Close | Choice::Unknown => {}
        }
        self.tell_window()?;
        Ok(false)
    }

    /// A sibling of this machine, with the next number.
    fn sibling(&mut self) -> mayfly::Result<Machine> {
        let number = self.made + 1;
        let machine = self.machine();
        if machine.vm.backend() != BackendKind::Kvm {
            return Err(mayfly::Error::Usage {
                what: "copy the machine".into(),
                why: "only the KVM back end can".into(),
                remedy: "`mayfly shell --backend kvm`".into(),
            });
        }
        let vm = machine.vm.fork()?;
        let mut terminal = machine.terminal.in_vm(&vm);
        if machine.terminal.counts() {
            terminal.count()?;
        }
        let sibling = Machine {
            terminal,
            vm,
            filter: machine.filter.clone(),
            at_prompt: machine.at_prompt,
            draws: machine.draws,
            asked: machine.asked,
            traced: machine.traced.clone(),
            owed: None,
            number,
        };
        self.made = number;
        Ok(sibling)
    }

    fn back(&mut self) -> anyhow::Result<()> {
        let Some(kept) = self.kept.take() else {
            self.say("there is no snapshot; Ctrl-] s takes one".into());
            return Ok(());
        };
        let number = self.machine().number;
        self.machines[self.here] = kept;
        // What is kept stays what it is: a copy goes on.
        match self.sibling() {
            Ok(kept) => self.kept = Some(kept),
            Err(error) => self.say(styled(
                WRONG,
                format!("no other snapshot was taken: {error}"),
            )),
        }
        self.machine().number = number;
        self.say("back at the snapshot".into());
        self.go_to(self.here)
    }

    /// The shell of this machine has ended: there are others.
    pub(super) fn leave(&mut self, ended: ExitStatus) -> anyhow::Result<()> {
        let gone = self.machines.remove(self.here);
        self.go_to(self.here.saturating_sub(1))?;
        self.say(format!("machine {} ended: {ended}", gone.number));
        self.tell_window()
    }

    /// This machine has died, but there are others, or a snapshot.
    pub(super) fn lose(&mut self, error: &mayfly::Error) -> anyhow::Result<()> {
        for line in error.to_string().lines() {
            self.say(styled(WRONG, line));
        }
        if self.machines.len() == 1 {
            self.back()?;
        } else {
            let gone = self.machines.remove(self.here);
            self.go_to(self.here.saturating_sub(1))?;
            let (gone, here) = (gone.number, self.machine().number);
            self.say(format!("machine {gone} is gone; this is machine {here}"));
        }
        self.tell_window()
    }

    fn go_to(&mut self, index: usize) -> anyhow::Result<()> {
        self.above.end_begun();
        self.here = index;
        self.input.turn_to(&self.machines[index].terminal)?;
        Ok(())
    }
}
