//! The system calls that take many datagrams at once: `recvmmsg` with receive offload (GRO),
//! `sendmmsg` with segmentation offload (GSO).
//!
//! This file holds all `unsafe` code of the program. What it hands to the system are pointers into
//! vectors of its own and into slices that the caller lends for the time of the call; they are made
//! right before the call, when nothing moves any more, and are not used after it.
#![expect(
    unsafe_code,
    reason = "these calls have no safe form in the libraries used"
)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use mio::net::UdpSocket;
use socket2::{SockAddr, SockAddrStorage};

use super::plan::Run;
use super::{Arrived, BUFFER, MESSAGES};

/// Room for the control messages of one datagram: 16 bit of segment size, or 32 bit of it and a
/// time, each with its header.
const CONTROL: usize = 128;

/// Bytes that are aligned as control messages must be.
#[derive(Clone, Copy)]
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; CONTROL],
}

impl Control {
    const EMPTY: Self = Self {
        bytes: [0; CONTROL],
    };
}

fn set_flag(socket: &UdpSocket, level: i32, name: i32) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option is read from `on`, which lives through the call, and has its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

// SAFETY: the pointers in the slices and headers of both are made anew by each call and used by none
// but it; beside them there are plain bytes.
unsafe impl Send for Receiver {}
// SAFETY: as above.
unsafe impl Send for Sender {}

/// Receives datagrams.
pub(crate) struct Receiver {
    bytes: Vec<u8>,
    addresses: Vec<SockAddrStorage>,
    controls: Vec<Control>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Receiver {
    /// Most messages of one call.
    pub(crate) const MOST: usize = MESSAGES;

    /// Turns the times of arrival on, and receive offload where it is wanted. Returns whether there
    /// is receive offload.
    pub(crate) fn prepare(socket: &UdpSocket, offload: bool) -> bool {
        // Without times there is a delay less to be seen, and nothing else amiss.
        let _ = set_flag(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS);
        offload && set_flag(socket, libc::SOL_UDP, libc::UDP_GRO).is_ok()
    }

    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; MESSAGES * BUFFER],
            addresses: (0..MESSAGES).map(|_| SockAddrStorage::zeroed()).collect(),
            controls: vec![Control::EMPTY; MESSAGES],
            slices: Vec::with_capacity(MESSAGES),
            headers: Vec::with_capacity(MESSAGES),
        }
    }

    /// Receives up to `most` messages, each of one datagram, or of several of one sender.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, most: usize) -> io::Result<usize> {
        self.slices.clear();
        self.headers.clear();
        let buffers = self.bytes.chunks_exact_mut(BUFFER).take(most);
        self.slices.extend(buffers.map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        }));
        let parts = self.slices.iter_mut().zip(&mut self.addresses);
        for ((slice, address), control) in parts.zip(&mut self.controls) {
            let mut header = empty_header();
            header.msg_hdr.msg_name = ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<SockAddrStorage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            self.headers.push(header);
        }
        // SAFETY: each header points to one buffer, one address and one control of this receiver,
        // with their sizes; none of the vectors changes before the call returns.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// What has been received as this message of the latest call; `None` where its sender has no
    /// address that there is a word for.
    pub(crate) fn get(&self, number: usize) -> Option<Arrived<'_>> {
        let header = self.headers.get(number)?;
        let address = self.addresses.get(number)?;
        let begin = number * BUFFER;
        let contents = self.bytes.get(begin..begin + header.msg_len as usize)?;
        // SAFETY: the storage was zeroed at first, and the system has written an address of
        // `msg_namelen` bytes into it. It is plain data, which may be copied.
        let source = unsafe { SockAddr::new(ptr::read(address), header.msg_hdr.msg_namelen) };
        let source = source.as_socket()?;
        let (mut stride, mut at) = (contents.len(), None);
        for (level, kind, data) in Controls::of(&header.msg_hdr) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let bytes = data.first_chunk().copied();
                    let size = bytes.map(i32::from_ne_bytes).map(usize::try_from);
                    if let Some(Ok(size)) = size {
                        stride = size.clamp(1, contents.len().max(1));
                    }
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => at = time_of(data),
                _ => {}
            }
        }
        Some(Arrived {
            source,
            contents,
            stride,
            at,
        })
    }
}

/// A `timespec`: two words, seconds since 1970 and nanoseconds.
fn time_of(data: &[u8]) -> Option<Duration> {
    const WORD: usize = mem::size_of::<libc::c_long>();
    let (seconds, rest) = data.split_first_chunk::<WORD>()?;
    let nanoseconds = rest.first_chunk::<WORD>()?;
    let seconds = u64::try_from(libc::c_long::from_ne_bytes(*seconds)).ok()?;
    let nanoseconds = u64::try_from(libc::c_long::from_ne_bytes(*nanoseconds)).ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds))
}

/// The control messages of a datagram that has been received.
struct Controls<'a> {
    header: &'a libc::msghdr,
    next: *const libc::cmsghdr,
}

impl<'a> Controls<'a> {
    fn of(header: &'a libc::msghdr) -> Self {
        // SAFETY: the header's control is a buffer of ours of `msg_controllen` bytes.
        let next = unsafe { libc::CMSG_FIRSTHDR(header) };
        Self { header, next }
    }
}

impl<'a> Iterator for Controls<'a> {
    type Item = (i32, i32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // SAFETY: null, or a header that the system has written whole into the buffer.
        let control = unsafe { self.next.as_ref() }?;
        // SAFETY: as above; both macros stay inside of the buffer.
        let (data, following) = unsafe {
            (
                libc::CMSG_DATA(self.next),
                libc::CMSG_NXTHDR(self.header, self.next),
            )
        };
        let before = data as usize - self.next as usize;
        #[allow(
            clippy::unnecessary_cast,
            reason = "some systems have another type for it"
        )]
        let length = (control.cmsg_len as usize).checked_sub(before)?;
        self.next = following;
        // SAFETY: the system has written `cmsg_len` bytes, header included, into the buffer, which
        // lives as long as the header that is borrowed.
        let data = unsafe { std::slice::from_raw_parts(data, length) };
        Some((control.cmsg_level, control.cmsg_type, data))
    }
}

/// Sends datagrams.
pub(crate) struct Sender {
    addresses: Vec<SockAddr>,
    controls: Vec<Control>,
    slices: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Sender {
    pub(crate) fn new() -> Self {
        Self {
            addresses: Vec::with_capacity(MESSAGES),
            controls: Vec::with_capacity(MESSAGES),
            slices: Vec::new(),
            headers: Vec::with_capacity(MESSAGES),
        }
    }

    /// Sends the first of `runs`, as many as the system takes in one call: at least one, or it is
    /// an error that is about the first one. `datagram` gives the bytes of each number of `order`.
    pub(crate) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagram: impl Fn(usize) -> &'a [u8],
        order: &[usize],
        runs: &[Run],
    ) -> io::Result<usize> {
        let runs = &runs[..runs.len().min(MESSAGES)];
        self.addresses.clear();
        self.controls.clear();
        self.slices.clear();
        self.headers.clear();
        for run in runs {
            self.addresses.push(SockAddr::from(run.destination));
            self.controls.push(segment_size(run));
            let numbers = order.get(run.first..run.first + run.count);
            for number in numbers.unwrap_or_default() {
                let contents = datagram(*number);
                self.slices.push(libc::iovec {
                    iov_base: contents.as_ptr().cast_mut().cast(),
                    iov_len: contents.len(),
                });
            }
        }
        // Nothing is added to the vectors from here on, so that what is pointed to stays.
        let mut slices = self.slices.as_mut_slice();
        let parts = self.addresses.iter().zip(&mut self.controls);
        for (run, (address, control)) in runs.iter().zip(parts) {
            let (mine, rest) = slices.split_at_mut(run.count.min(slices.len()));
            slices = rest;
            let mut header = empty_header();
            header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = address.len();
            header.msg_hdr.msg_iov = mine.as_mut_ptr();
            header.msg_hdr.msg_iovlen = mine.len() as _;
            if run.count > 1 {
                header.msg_hdr.msg_control = ptr::from_mut(control).cast();
                header.msg_hdr.msg_controllen = SEGMENT_SPACE as _;
            }
            self.headers.push(header);
        }
        // SAFETY: each header points to its address, its slices and its control in the vectors of
        // this sender, and the slices into datagrams, which are borrowed through the call. The
        // system only reads what they point to.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Bytes of the control message that tells the size of segments.
// SAFETY: a computation with constants.
const SEGMENT_SPACE: usize = unsafe { libc::CMSG_SPACE(mem::size_of::<u16>() as u32) } as usize;
const _: () = assert!(SEGMENT_SPACE <= CONTROL);

/// The control message that has the system cut a run into its datagrams.
fn segment_size(run: &Run) -> Control {
    let mut control = Control::EMPTY;
    // A run's datagrams are together shorter than 16 bits tell.
    let segment = run.segment as u16;
    // SAFETY: the header and the number behind it are inside of the union's bytes, as the constant
    // above asserts.
    unsafe {
        control.header.cmsg_level = libc::SOL_UDP;
        control.header.cmsg_type = libc::UDP_SEGMENT;
        control.header.cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as u32) as _;
        let data = libc::CMSG_DATA(&raw const control.header);
        ptr::write_unaligned(data.cast::<u16>(), segment);
    }
    control
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a header of zeros is one that points to nothing.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Whether an error says that the system does not segment what it was given.
pub(super) fn refuses_segments(error: &io::Error) -> bool {
    let refusals = [
        libc::EINVAL,
        libc::EIO,
        libc::EMSGSIZE,
        libc::ENOPROTOOPT,
        libc::EOPNOTSUPP,
    ];
    error
        .raw_os_error()
        .is_some_and(|number| refusals.contains(&number))
}
