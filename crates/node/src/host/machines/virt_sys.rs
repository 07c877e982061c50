//! The one place with unsafe code: libvirt's domain events and close notice, which the `virt` crate does
//! not wrap, and a handle that closes its connection when dropped.
//!
//! Promises: callbacks are called from the thread that runs libvirt's event loop, one at a time, and are
//! freed after their last call; a [`Session`] that is dropped unregisters them and gives the connection
//! back. The event loop must be started ([`start_event_loop`]) before a session is opened.
#![expect(unsafe_code, reason = "callbacks cross the C interface of libvirt")]

use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use virt::connect::Connect;
use virt::error::Error;
use virt::sys;

type OnDomain = Box<dyn Fn(&str) + Send>;
type OnClose = Box<dyn Fn() + Send>;

/// Registers libvirt's event loop and runs it on a thread of its own, once per process. The thread lives
/// as long as the process, since libvirt offers no way to unregister the loop.
pub(super) fn start_event_loop() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    STARTED
        .get_or_init(|| {
            // Otherwise libvirt writes each error to standard error as well.
            virt::error::clear_error_callback();
            virt::event::event_register_default_impl()
                .map_err(|error| format!("cannot set up libvirt's event loop: {}", error.message()))?;
            std::thread::Builder::new()
                .name("libvirt-events".to_owned())
                .spawn(|| {
                    loop {
                        if let Err(error) = virt::event::event_run_default_impl() {
                            tracing::warn!(error = error.message(), "libvirt's event loop stumbled");
                            std::thread::sleep(Duration::from_secs(1));
                        }
                    }
                })
                .map_err(|error| format!("cannot start the thread for libvirt's events: {error}"))?;
            Ok(())
        })
        .clone()
}

/// An open connection with its subscriptions.
pub(super) struct Session {
    connect: Connect,
    events: Option<i32>,
    notices_close: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Opens a connection that notices a dead peer, and calls `on_domain` with the name of each domain
    /// whose life cycle moved and `on_close` when the connection broke. Blocks.
    pub(super) fn open(uri: &str, on_domain: OnDomain, on_close: OnClose) -> Result<Self, Error> {
        // Made at once, so that every way out closes it.
        let mut session = Self { connect: Connect::open(Some(uri))?, events: None, notices_close: false };
        // A peer that is silent for 15 seconds is gone. Drivers inside the process know no keepalive, and need none.
        if let Err(error) = session.connect.set_keep_alive(5, 3) {
            tracing::debug!(error = error.message(), "no keepalive on this connection");
        }
        session.subscribe_close(on_close)?;
        session.subscribe_domains(on_domain)?;
        Ok(session)
    }

    /// The connection, for calls. It must not be closed by them.
    pub(super) const fn connect(&self) -> &Connect {
        &self.connect
    }

    fn subscribe_domains(&mut self, on_domain: OnDomain) -> Result<(), Error> {
        let opaque = Box::into_raw(Box::new(on_domain));
        // SAFETY: libvirt stores event callbacks under one generic type and calls each by the type that
        // belongs to its event; `lifecycle` has the type that belongs to VIR_DOMAIN_EVENT_ID_LIFECYCLE.
        let callback = unsafe {
            std::mem::transmute::<sys::virConnectDomainEventCallback, sys::virConnectDomainEventGenericCallback>(
                Some(lifecycle),
            )
        };
        // SAFETY: the connection is open; a null domain means all domains; `opaque` stays valid until
        // libvirt hands it to `free`, after the last call.
        let registered = unsafe {
            sys::virConnectDomainEventRegisterAny(
                self.connect.as_ptr(),
                std::ptr::null_mut(),
                i32::try_from(sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE).unwrap_or_default(),
                callback,
                opaque.cast(),
                Some(free::<OnDomain>),
            )
        };
        if registered < 0 {
            let error = Error::last_error();
            // SAFETY: a failed registration keeps nothing, so the box is still ours.
            drop(unsafe { Box::from_raw(opaque) });
            return Err(error);
        }
        self.events = Some(registered);
        Ok(())
    }

    fn subscribe_close(&mut self, on_close: OnClose) -> Result<(), Error> {
        let opaque = Box::into_raw(Box::new(on_close));
        // SAFETY: as for events; `closed` has the declared type.
        let registered = unsafe {
            sys::virConnectRegisterCloseCallback(
                self.connect.as_ptr(),
                Some(closed),
                opaque.cast(),
                Some(free::<OnClose>),
            )
        };
        if registered < 0 {
            let error = Error::last_error();
            // SAFETY: a failed registration keeps nothing, so the box is still ours.
            drop(unsafe { Box::from_raw(opaque) });
            return Err(error);
        }
        self.notices_close = true;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Failures mean that the peer is gone, and with it what was registered there; libvirt frees its
        // own side in any case.
        if let Some(events) = self.events {
            // SAFETY: the connection is open until `close` below.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), events) };
        }
        if self.notices_close {
            // SAFETY: as above, and `closed` is what was registered.
            unsafe { sys::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(closed)) };
        }
        if let Err(error) = self.connect.close() {
            tracing::debug!(error = error.message(), "libvirt connection did not close in good order");
        }
    }
}

/// Called by libvirt for each move in a domain's life cycle.
///
/// # Safety
/// `domain` is valid during the call, and `opaque` is a leaked `Box<OnDomain>`.
unsafe extern "C" fn lifecycle(
    _connect: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the domain is valid during the call.
    let name = unsafe { sys::virDomainGetName(domain) };
    if name.is_null() {
        return 0;
    }
    // SAFETY: libvirt returned a terminated string that lives as long as the domain.
    let name = unsafe { CStr::from_ptr(name) };
    // SAFETY: the box was leaked by `subscribe_domains` and is freed after the last call.
    let on_domain = unsafe { &*opaque.cast::<OnDomain>() };
    if let Ok(name) = name.to_str() {
        on_domain(name);
    }
    0
}

/// Called by libvirt when the connection broke.
///
/// # Safety
/// `opaque` is a leaked `Box<OnClose>`.
unsafe extern "C" fn closed(_connect: sys::virConnectPtr, _reason: c_int, opaque: *mut c_void) {
    // SAFETY: the box was leaked by `subscribe_close` and is freed after the last call.
    let on_close = unsafe { &*opaque.cast::<OnClose>() };
    on_close();
}

/// Called by libvirt when it has no more use for a callback.
///
/// # Safety
/// `opaque` is a leaked `Box<T>`, and nobody else frees it.
unsafe extern "C" fn free<T>(opaque: *mut c_void) {
    // SAFETY: promised by the caller.
    drop(unsafe { Box::from_raw(opaque.cast::<T>()) });
}
