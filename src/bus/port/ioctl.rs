//! Two questions to the kernel that no safe interface has: what a connection has not acknowledged yet,
//! and who turns an RS-485 adapter.

use crate::config::Direction;
use rustix::ioctl::{Getter, Opcode, Updater, ioctl};
use std::io;
use std::os::fd::AsFd;

/// `SIOCOUTQ`, which is `TIOCOUTQ` on a socket (tcp(7)).
const UNACKNOWLEDGED: Opcode = libc::TIOCOUTQ as Opcode;
const GET_RS485: Opcode = libc::TIOCGRS485 as Opcode;
const SET_RS485: Opcode = libc::TIOCSRS485 as Opcode;

/// `struct serial_rs485` of linux/serial.h: 32 octets, whatever the kernel's version.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rs485 {
    flags: u32,
    delay_rts_before_send: u32,
    delay_rts_after_send: u32,
    further: [u32; 5],
}

/// The kernel turns the direction at all.
const ENABLED: u32 = 1;
/// Logical level of RTS while it sends.
const RTS_ON_SEND: u32 = 1 << 1;
/// Logical level of RTS after it has sent.
const RTS_AFTER_SEND: u32 = 1 << 2;

/// Octets that were sent on a TCP connection and not acknowledged by the other side's kernel.
pub(super) fn unacknowledged(socket: impl AsFd) -> io::Result<usize> {
    // SAFETY: for this opcode the kernel writes one int, which is what the getter has room for.
    #[allow(unsafe_code)]
    let octets = unsafe { ioctl(socket, Getter::<UNACKNOWLEDGED, libc::c_int>::new()) }?;
    Ok(usize::try_from(octets).unwrap_or(0))
}

/// Has the driver turn the direction by RTS; delays and further flags stay as the board is set up.
pub(super) fn turn_by_rts(tty: impl AsFd, direction: Direction) -> io::Result<()> {
    let level = match direction {
        Direction::Adapter => return Ok(()),
        Direction::Rts => RTS_ON_SEND,
        Direction::RtsInverted => RTS_AFTER_SEND,
    };
    // SAFETY: for this opcode the kernel writes one struct serial_rs485, which Rs485 has the layout of;
    // every pattern of bits is a valid one.
    #[allow(unsafe_code)]
    let mut rs485 = unsafe { ioctl(&tty, Getter::<GET_RS485, Rs485>::new()) }?;
    rs485.flags = rs485.flags & !(RTS_ON_SEND | RTS_AFTER_SEND) | ENABLED | level;
    // SAFETY: for this opcode the kernel reads one struct serial_rs485 and writes back what it took of
    // it; the updater lends ours mutably.
    #[allow(unsafe_code)]
    unsafe { ioctl(&tty, Updater::<SET_RS485, Rs485>::new(&mut rs485)) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_struct_is_the_kernels() {
        assert_eq!(size_of::<Rs485>(), 32);
        assert_eq!((UNACKNOWLEDGED, GET_RS485, SET_RS485), (0x5411, 0x542E, 0x542F));
    }

    #[test]
    fn what_the_other_side_has_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.write_all(b"asked").unwrap();
        far.read_exact(&mut [0; 5]).unwrap();
        // The acknowledgement may be under way.
        while unacknowledged(&near).unwrap() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_tty_that_cannot_be_turned_says_so() {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let pty = rustix::pty::openpt(flags).unwrap();
        let error = turn_by_rts(&pty, Direction::Rts).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        turn_by_rts(&pty, Direction::Adapter).unwrap();
    }
}
