import Glibc
import Postgres
import Synchronization

/// Ctrl-C and SIGTERM: what has been started is stopped and removed before the process ends.
///
/// The signals are blocked everywhere and taken by a thread that waits for them, which may do what
/// no signal handler may.
enum Interruption {
    /// A clean-up that is due as long as it is not cancelled.
    final class Handler: Sendable {
        fileprivate let action: @Sendable () -> Void

        fileprivate init(_ action: @escaping @Sendable () -> Void) { self.action = action }

        func cancel() {
            Interruption.handlers.withLock { $0.removeAll { $0 === self } }
        }
    }

    fileprivate static let handlers = Mutex<[Handler]>([])

    /// Blocks the signals in this thread and all it starts.
    static func block() {
        var signals = Self.signals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        OSThread.start(name: "interruption") {
            var signals = Self.signals
            var number: Int32 = 0
            while sigwait(&signals, &number) != 0 {}
            for handler in handlers.withLock({ $0 }).reversed() { handler.action() }
            exit(128 + number)
        }
    }

    private static var signals: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
        return signals
    }

    /// Has `action` run when the process is interrupted.
    static func handler(_ action: @escaping @Sendable () -> Void) -> Handler {
        let handler = Handler(action)
        handlers.withLock { $0.append(handler) }
        return handler
    }
}
