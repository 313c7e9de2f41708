import CCurl
import Glibc

/// Watches libcurl's sockets and its timer, and a waker, with epoll.
///
/// libcurl asks for a connection's socket to be watched when a transfer begins and to be left
/// alone when it ends. Between transfers the socket stays in epoll, watched for input, which
/// saves two system calls per request; if input or the connection's end comes meanwhile, it is
/// taken out.
final class SocketPoller {
    /// What epoll was told of a socket, and what libcurl wants to know of it.
    private struct Socket {
        var wanted = UInt32(0)
        var watched = UInt32(0)
        /// Whether its closing goes through `close`, so that it can stay watched until then.
        var isOwn = false
    }

    private let descriptor: Int32
    private let waker: Waker
    /// By descriptor number.
    private var sockets: [Socket] = []
    /// When libcurl wants to be called though no socket is ready.
    private var deadline: ContinuousClock.Instant?
    // Few at a time, so that the other side has new requests to work on before all of its answers
    // are dealt with; whoever is ready beyond them is reported next.
    private let events = UnsafeMutableBufferPointer<epoll_event>.allocate(capacity: 16)

    init(_ waker: Waker) {
        self.waker = waker
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { fatalError("epoll_create1 failed with error \(errno)") }
        control(EPOLL_CTL_ADD, waker.descriptor, EPOLLIN.rawValue)
    }

    deinit {
        Glibc.close(descriptor)
        events.deallocate()
    }

    /// The poller that a callback's context stands for.
    static func at(_ context: UnsafeMutableRawPointer?) -> SocketPoller {
        guard let context else { fatalError("libcurl lost the context of a callback") }
        return Unmanaged<SocketPoller>.fromOpaque(context).takeUnretainedValue()
    }

    /// Waits until a socket is ready, the timer is due, the waker wakes or the timeout (nil: none)
    /// is over, and hands on each ready socket with libcurl's bits for what it is ready for.
    func wait(timeout: Duration?, _ ready: (curl_socket_t, Int32) -> Void) {
        let count = epoll_wait(
            descriptor, events.baseAddress, Int32(events.count), milliseconds(timeout))
        // Interrupted by a signal, it is as if nothing were ready.
        for event in events.prefix(max(0, Int(count))) {
            if event.data.fd == waker.descriptor {
                waker.reset()
            } else {
                handle(event, ready)
            }
        }
    }

    /// Sets libcurl's timer; a negative time puts it off.
    func setTimer(milliseconds: Int) {
        deadline = milliseconds < 0 ? nil : .now + .milliseconds(milliseconds)
    }

    /// Whether the timer is due; if so, it is put off.
    func takeDueTimer() -> Bool {
        guard let deadline, deadline <= .now else { return false }
        self.deadline = nil
        return true
    }

    /// How long epoll is to wait, for a timeout and the timer.
    private func milliseconds(_ timeout: Duration?) -> Int32 {
        let untilTimer = deadline.map { max(Duration.zero, ContinuousClock.now.duration(to: $0)) }
        guard let shortest = [timeout, untilTimer].compactMap(\.self).min() else { return -1 }
        // Rounded up: a wait that ends too early is followed by another.
        let milliseconds = (shortest + .microseconds(999)) / .milliseconds(1)
        return Int32(min(milliseconds, 60_000))
    }

    /// Opens a socket for libcurl.
    func open(_ family: Int32, _ type: Int32, _ protocol: Int32) -> curl_socket_t {
        let socket = Glibc.socket(family, type | Int32(SOCK_CLOEXEC.rawValue), `protocol`)
        if socket >= 0 {
            makeRoom(for: socket)
            sockets[Int(socket)] = Socket(isOwn: true)
        }
        return socket
    }

    /// Closes a socket that `open` has opened.
    func close(_ socket: curl_socket_t) -> Int32 {
        // The system takes a closed socket out of epoll by itself.
        sockets[Int(socket)] = Socket()
        return Glibc.close(socket)
    }

    /// Takes note of what libcurl wants to know of a socket, by one of its `CURL_POLL` values.
    func watch(_ socket: curl_socket_t, _ poll: Int32) {
        makeRoom(for: socket)
        sockets[Int(socket)].wanted =
            switch poll {
            case CURL_POLL_IN: EPOLLIN.rawValue
            case CURL_POLL_OUT: EPOLLOUT.rawValue
            case CURL_POLL_INOUT: EPOLLIN.rawValue | EPOLLOUT.rawValue
            default: 0
            }
        let mayStay = sockets[Int(socket)].isOwn && sockets[Int(socket)].watched == EPOLLIN.rawValue
        if !(poll == CURL_POLL_REMOVE && mayStay) {
            updateWatch(socket)
        }
    }

    private func handle(_ event: epoll_event, _ ready: (curl_socket_t, Int32) -> Void) {
        let socket = event.data.fd
        guard sockets[Int(socket)].wanted != 0 else {
            updateWatch(socket)
            return
        }
        var bits = Int32(0)
        if event.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue) != 0 { bits |= CURL_CSELECT_IN }
        if event.events & EPOLLOUT.rawValue != 0 { bits |= CURL_CSELECT_OUT }
        if event.events & EPOLLERR.rawValue != 0 { bits |= CURL_CSELECT_ERR }
        ready(socket, bits)
    }

    private func updateWatch(_ socket: curl_socket_t) {
        let (wanted, watched) = (sockets[Int(socket)].wanted, sockets[Int(socket)].watched)
        guard wanted != watched else { return }
        let operation =
            wanted == 0 ? EPOLL_CTL_DEL : watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD
        control(operation, socket, wanted)
        sockets[Int(socket)].watched = wanted
    }

    private func control(_ operation: Int32, _ socket: Int32, _ wanted: UInt32) {
        var event = epoll_event(events: wanted, data: epoll_data_t(fd: socket))
        // It fails if the system has no memory for it: the transfer then ends with its time.
        _ = epoll_ctl(descriptor, operation, socket, &event)
    }

    private func makeRoom(for socket: curl_socket_t) {
        while sockets.count <= Int(socket) {
            sockets.append(Socket())
        }
    }
}
