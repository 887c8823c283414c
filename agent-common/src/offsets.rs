//! Where the running kernel keeps the fields the programs read.
//!
//! rustc emits no CO-RE relocations, so the agent resolves these from the kernel's BTF before loading and
//! writes them to `.rodata`; to the verifier they are constants. [`ABSENT`] means that this kernel has no
//! such field: the feature that needs it is off, the rest works.

/// Marks a field that the running kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Byte offsets within the kernel's structures, one `u32` each, named `structure_field`; `value_` names a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Offsets {
    /// `struct sock_common.skc_family` (u16), from the start of `struct sock`.
    pub sock_family: u32,
    /// `skc_state` (u8).
    pub sock_state: u32,
    /// `skc_dport` (be16).
    pub sock_dport: u32,
    /// `skc_num` (u16, host order): the local port.
    pub sock_num: u32,
    /// `skc_daddr` (be32).
    pub sock_daddr: u32,
    /// `skc_rcv_saddr` (be32).
    pub sock_saddr: u32,
    /// `skc_v6_daddr`.
    pub sock_v6_daddr: u32,
    /// `skc_v6_rcv_saddr`.
    pub sock_v6_saddr: u32,
    /// `skc_net.net` (pointer to `struct net`).
    pub sock_net: u32,
    /// `skc_cookie` (u64).
    pub sock_cookie: u32,
    /// `struct sock.sk_type` (u16).
    pub sock_type: u32,
    /// `struct sock.sk_protocol` (u16; u8 bit field before 5.6).
    pub sock_protocol: u32,
    /// `struct sock_common.skc_flags` (unsigned long).
    pub sock_flags: u32,
    /// `struct sock.sk_socket` (pointer to `struct socket`).
    pub sock_socket: u32,
    /// `struct socket_alloc.vfs_inode.i_ino` (unsigned long), and with it from the start of `struct socket`.
    pub socket_inode: u32,
    /// `struct net.ns.inum` (u32).
    pub net_inum: u32,
    /// `struct tcp_sock.bytes_sent` (u64), with retransmissions; from the start of `struct sock`.
    pub tcp_bytes_sent: u32,
    /// `struct tcp_sock.bytes_retrans` (u64).
    pub tcp_bytes_retrans: u32,
    /// `struct tcp_sock.bytes_received` (u64).
    pub tcp_bytes_received: u32,
    /// `struct tcp_sock.copied_seq` (u32).
    pub tcp_copied_seq: u32,
    /// `struct tcp_sock.rcv_nxt` (u32).
    pub tcp_rcv_nxt: u32,
    /// `struct tcp_sock.write_seq` (u32).
    pub tcp_write_seq: u32,
    /// `struct tcp_sock.snd_nxt` (u32).
    pub tcp_snd_nxt: u32,
    /// `struct inet_connection_sock.icsk_ulp_ops` (pointer).
    pub tcp_ulp_ops: u32,
    /// `struct inet_connection_sock.icsk_ulp_data` (pointer).
    pub tcp_ulp_data: u32,
    /// `struct tcp_ulp_ops.name` (char[]).
    pub ulp_name: u32,
    /// `struct tls_context.tx_conf`, a bit field, and `rx_conf` behind it.
    pub tls_conf: u32,
    /// `struct unix_sock.addr` (pointer to `struct unix_address`).
    pub unix_addr: u32,
    /// `struct unix_sock.peer` (pointer to `struct sock`).
    pub unix_peer: u32,
    /// `struct unix_address.len` (int).
    pub unix_address_len: u32,
    /// `struct unix_address.name` (`struct sockaddr_un[]`).
    pub unix_address_name: u32,
    /// `struct socket.sk` (pointer to `struct sock`).
    pub socket_sk: u32,
    /// `struct task_struct.flags` (u32).
    pub task_flags: u32,
    /// `struct task_struct.thread_info.status` on x86_64, `.flags` on aarch64: tells a 32-bit task.
    pub task_thread_status: u32,
    /// `struct task_struct.stack` (pointer), for kernels without `bpf_task_pt_regs`.
    pub task_stack: u32,
    /// `struct task_struct.start_boottime` (u64, ns).
    pub task_start_boottime: u32,
    /// `struct task_struct.group_leader` (pointer to `struct task_struct`).
    pub task_group_leader: u32,
    /// `struct task_struct.pid` (i32): of the thread.
    pub task_pid: u32,
    /// `struct task_struct.tgid` (i32): of the process.
    pub task_tgid: u32,
    /// `struct task_struct.mm` (pointer).
    pub task_mm: u32,
    /// `struct task_struct.fs` (pointer to `struct fs_struct`).
    pub task_fs: u32,
    /// `struct task_struct.real_parent` (pointer to `struct task_struct`).
    pub task_real_parent: u32,
    /// `struct task_struct.comm`, 16 bytes.
    pub task_comm: u32,
    /// `struct fs_struct.pwd` (`struct path`).
    pub fs_pwd: u32,
    /// `struct mm_struct.exe_file` (pointer to `struct file`).
    pub mm_exe_file: u32,
    /// `struct mm_struct.arg_start` (user address).
    pub mm_arg_start: u32,
    /// `struct mm_struct.arg_end` (user address).
    pub mm_arg_end: u32,
    /// `struct file.f_path` (`struct path`).
    pub file_path: u32,
    /// `struct path.mnt` (pointer to `struct vfsmount`).
    pub path_mnt: u32,
    /// `struct path.dentry` (pointer).
    pub path_dentry: u32,
    /// `struct dentry.d_parent` (pointer).
    pub dentry_parent: u32,
    /// `struct dentry.d_name.name` (pointer).
    pub dentry_name: u32,
    /// `struct vfsmount.mnt_root` (pointer to `struct dentry`).
    pub mount_root: u32,
    /// `struct mount.mnt` (`struct vfsmount`).
    pub mount_mnt: u32,
    /// `struct mount.mnt_parent` (pointer to `struct mount`).
    pub mount_parent: u32,
    /// `struct mount.mnt_mountpoint` (pointer to `struct dentry`).
    pub mount_point: u32,
    /// `struct msghdr.msg_iter` (`struct iov_iter`).
    pub msghdr_iter: u32,
    /// `struct iov_iter.iter_type` (u8; before 5.14 `type`, a u32 of flags).
    pub iter_type: u32,
    /// `struct iov_iter.iov_offset`, and with it the start of a single user buffer.
    pub iter_offset: u32,
    /// `struct iov_iter.ubuf` (pointer; 6.0 and later).
    pub iter_ubuf: u32,
    /// `struct iov_iter.__iov` or `.iov` (pointer to `struct iovec`).
    pub iter_iov: u32,
    /// `struct iov_iter.nr_segs` (unsigned long).
    pub iter_segments: u32,
    /// Value of `ITER_UBUF` in `enum iter_type`.
    pub value_iter_ubuf: u32,
    /// Value of `ITER_IOVEC`.
    pub value_iter_iovec: u32,
}

impl Offsets {
    /// Every field absent.
    pub const NONE: Self = Self {
        sock_family: ABSENT,
        sock_state: ABSENT,
        sock_dport: ABSENT,
        sock_num: ABSENT,
        sock_daddr: ABSENT,
        sock_saddr: ABSENT,
        sock_v6_daddr: ABSENT,
        sock_v6_saddr: ABSENT,
        sock_net: ABSENT,
        sock_cookie: ABSENT,
        sock_type: ABSENT,
        sock_protocol: ABSENT,
        sock_flags: ABSENT,
        sock_socket: ABSENT,
        socket_inode: ABSENT,
        net_inum: ABSENT,
        tcp_bytes_sent: ABSENT,
        tcp_bytes_retrans: ABSENT,
        tcp_bytes_received: ABSENT,
        tcp_copied_seq: ABSENT,
        tcp_rcv_nxt: ABSENT,
        tcp_write_seq: ABSENT,
        tcp_snd_nxt: ABSENT,
        tcp_ulp_ops: ABSENT,
        tcp_ulp_data: ABSENT,
        ulp_name: ABSENT,
        tls_conf: ABSENT,
        unix_addr: ABSENT,
        unix_peer: ABSENT,
        unix_address_len: ABSENT,
        unix_address_name: ABSENT,
        socket_sk: ABSENT,
        task_flags: ABSENT,
        task_thread_status: ABSENT,
        task_stack: ABSENT,
        task_start_boottime: ABSENT,
        task_group_leader: ABSENT,
        task_pid: ABSENT,
        task_tgid: ABSENT,
        task_mm: ABSENT,
        task_fs: ABSENT,
        task_real_parent: ABSENT,
        task_comm: ABSENT,
        fs_pwd: ABSENT,
        mm_exe_file: ABSENT,
        mm_arg_start: ABSENT,
        mm_arg_end: ABSENT,
        file_path: ABSENT,
        path_mnt: ABSENT,
        path_dentry: ABSENT,
        dentry_parent: ABSENT,
        dentry_name: ABSENT,
        mount_root: ABSENT,
        mount_mnt: ABSENT,
        mount_parent: ABSENT,
        mount_point: ABSENT,
        msghdr_iter: ABSENT,
        iter_type: ABSENT,
        iter_offset: ABSENT,
        iter_ubuf: ABSENT,
        iter_iov: ABSENT,
        iter_segments: ABSENT,
        value_iter_ubuf: ABSENT,
        value_iter_iovec: ABSENT,
    };
}

const _: () = assert!(size_of::<Offsets>() == 64 * 4);

/// What the agent tells the programs before they are loaded. Constants to the verifier, so that code for
/// absent features is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Nanoseconds between two wake-ups of a ring that is filling slowly.
    pub wakeup_interval_ns: u64,
    /// The control group whose processes alone are looked at; 0 for all processes.
    pub scope_cgroup: u64,
    /// The agent's own process: its sockets are never looked at.
    pub own_tgid: u32,
    /// Rings in use: 1, 2 or 4.
    pub rings: u32,
    /// Bytes in a ring at which the reader is woken at once.
    pub wakeup_bytes: u32,
    /// Non-zero where `bpf_task_pt_regs` exists (5.15 and later).
    pub has_task_pt_regs: u32,
    /// Non-zero where tracing programs may use socket storage (5.11 and later).
    pub has_sk_storage: u32,
    /// Non-zero where `bpf_get_current_task_btf` exists (5.11 and later).
    pub has_task_btf: u32,
    /// Non-zero where tracing programs may ask for a socket's cookie (5.12 and later).
    pub has_socket_cookie: u32,
    /// Non-zero where spare copies of programs are attached (7.0 and later).
    pub has_spares: u32,
    /// Bytes of kernel stack per task, for kernels without `bpf_task_pt_regs`.
    pub thread_size: u32,
    /// Non-zero when plaintext of TLS libraries is read.
    pub tls: u32,
    /// Non-zero where the sockets that were open at the start are told by their inodes, for want of an iterator.
    pub has_older: u32,
    /// Zero: a condition on it is never met, and the verifier knows.
    pub never: u32,
}

const _: () = assert!(size_of::<Settings>() == 64);
