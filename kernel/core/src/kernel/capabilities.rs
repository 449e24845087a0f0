//! Capabilities that come, move and go, with what their objects need then.

use super::{Kernel, Running};
use crate::error::KernelError;
use crate::object::capability::{Capability, NodeKey, Object, Place, Rights};
use crate::object::ipc::EndpointKey;
use crate::object::process::{Process, ProcessKey};
use crate::port::{Machine, Port};

impl<P: Port> Kernel<P> {
    /// Capabilities that there are, in all processes and messages.
    pub fn capability_count(&self) -> usize {
        self.capabilities.len()
    }

    /// Gives a process a token: for a child of `parent`, or a root.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] when it holds too many,
    /// [`KernelError::NoMemory`] when the kernel has no memory for one more.
    #[inline]
    pub fn grant(
        &mut self,
        process: &mut Process<P>,
        object: Object,
        rights: Rights,
        parent: Option<NodeKey>,
    ) -> Result<u64, KernelError> {
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        let endpoint = object.endpoint();
        let tokens = &mut process.capabilities;
        let token = self
            .capabilities
            .insert(process.key, tokens, object, rights, parent)?;
        self.gained(endpoint);
        Ok(token)
    }

    /// There is one more capability for an endpoint, if it is for one.
    #[inline(always)]
    pub(super) fn gained(&mut self, endpoint: Option<EndpointKey>) {
        if let Some(endpoint) = endpoint.and_then(|key| self.ipc.endpoint(key)) {
            endpoint.tokens += 1;
        }
    }

    /// Gives a process that is not running a child of a capability.
    ///
    /// # Errors
    /// As [`grant`](Self::grant), and [`KernelError::NotFound`] when there is
    /// no such process.
    pub fn grant_to(
        &mut self,
        key: ProcessKey,
        capability: &Capability,
    ) -> Result<u64, KernelError> {
        let mut process = self.processes.take(key).ok_or(KernelError::NotFound)?;
        let (object, parent) = (capability.object.clone(), Some(capability.node));
        let granted = self.grant(&mut process, object, capability.rights, parent);
        self.processes.put(key, process);
        granted
    }

    /// Sends a copy of a capability of the running process on its way.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when there is no such token,
    /// [`KernelError::NotPermitted`] when it must not be passed on,
    /// [`KernelError::NoMemory`].
    pub fn send_off(&mut self, running: &Running<P>, token: u64) -> Result<NodeKey, KernelError> {
        let capability = running.process.capabilities.find(token)?;
        capability.need(Rights::GRANT)?;
        if self.machine.heap_low() {
            return Err(KernelError::NoMemory);
        }
        let Capability {
            object,
            rights,
            node,
            ..
        } = capability;
        let endpoint = object.endpoint();
        let sent = self.capabilities.send_off(object.clone(), *rights, *node)?;
        self.gained(endpoint);
        Ok(sent)
    }

    /// Gives the running process what was sent off; `None` when it was revoked
    /// on its way.
    ///
    /// # Errors
    /// [`KernelError::NoRoom`] and [`KernelError::NoMemory`] as for
    /// [`grant`](Self::grant): it is on its way still.
    pub fn deliver(
        &mut self,
        running: &mut Running<P>,
        node: NodeKey,
    ) -> Result<Option<u64>, KernelError> {
        let process = &mut running.process;
        let tokens = &mut process.capabilities;
        self.capabilities.deliver(node, process.key, tokens)
    }

    /// Drops what was sent off and will not arrive.
    pub fn abandon(&mut self, node: NodeKey) {
        let gone = self.capabilities.take_out(node);
        if let Some(Place::OnItsWay { object, .. }) = gone.map(|gone| gone.place) {
            self.released(object);
        }
    }

    /// Takes a token of the running process and all that derives from it away,
    /// in every process.
    ///
    /// # Errors
    /// [`KernelError::BadHandle`] when there is no such token,
    /// [`KernelError::NotPermitted`] when it must not be revoked.
    pub fn revoke(&mut self, running: &mut Running<P>, token: u64) -> Result<(), KernelError> {
        let capability = running.process.capabilities.find(token)?;
        capability.need(Rights::REVOKE)?;
        let root = capability.node;
        let mut at = Some(root);
        while let Some(gone) = at.and_then(|at| self.capabilities.take_leaf(at)) {
            match gone.place {
                Place::Held { holder, slot } if holder == running.process.key => {
                    self.forget(&mut running.process, slot);
                }
                Place::Held { holder, slot } => self.forget_of(holder, slot),
                Place::OnItsWay { object, .. } => self.released(object),
            }
            at = gone.parent.filter(|_| gone.node != root);
        }
        Ok(())
    }

    /// Empties a slot of a process that is not running.
    fn forget_of(&mut self, holder: ProcessKey, slot: u16) {
        if let Some(mut process) = self.processes.take(holder) {
            self.forget(&mut process, slot);
            self.processes.put(holder, process);
        }
    }

    /// Empties a slot whose capability was revoked.
    #[inline(always)]
    fn forget(&mut self, process: &mut Process<P>, slot: u16) {
        if let Some(capability) = process.capabilities.clear(slot) {
            self.lost(process, &capability);
            self.released(capability.object);
        }
    }

    /// Takes every token of a process that ends.
    pub(super) fn surrender(&mut self, process: &mut Process<P>) {
        let tokens = &mut process.capabilities;
        for object in self.capabilities.surrender(process.key, tokens) {
            self.released(object);
        }
    }

    /// A process lost a capability by revocation: what it did with it ends.
    #[inline(always)]
    fn lost(&mut self, process: &mut Process<P>, capability: &Capability) {
        match &capability.object {
            Object::Memory { object, .. } if object.mapped() > 0 => {
                let origin = capability.node.number();
                let space = &mut process.space;
                space.unmap_where(&mut self.machine, |mapping| mapping.manner.origin == origin);
            }
            Object::IpcEndpoint { .. } | Object::IpcChannel { .. } => {
                self.end_waits(process, capability.token());
            }
            Object::Memory { .. }
            | Object::Process { .. }
            | Object::Thread { .. }
            | Object::Device(_)
            | Object::CapSpace { .. } => {}
        }
    }

    /// A reference of a capability is gone.
    #[inline(always)]
    pub(super) fn released(&mut self, object: Object) {
        match object {
            Object::IpcEndpoint { key } => self.endpoint_released(key),
            // The last reference leaves the frames to the machine.
            Object::IpcChannel { .. }
            | Object::Memory { .. }
            | Object::Process { .. }
            | Object::Thread { .. }
            | Object::Device(_)
            | Object::CapSpace { .. } => {}
        }
    }
}
