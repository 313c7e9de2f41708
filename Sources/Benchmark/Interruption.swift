import Glibc
import Postgres
import Synchronization

/// Ctrl-C and SIGTERM: what has been started is stopped and removed before the process ends.
///
/// The signal's handler wakes a thread, which may do what no handler may. Blocking the signals
/// would not do: the main thread waits with all of them let through.
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

    private static let raised = Signal()
    private static let number = Atomic<Int32>(0)

    /// Takes over the signals; children have them as they were.
    static func take() {
        OSThread.start(name: "interruption") {
            raised.wait(timeout: nil)
            for handler in handlers.withLock({ $0 }).reversed() { handler.action() }
            exit(128 + number.load(ordering: .acquiring))
        }
        for each in [SIGINT, SIGTERM, SIGHUP] {
            signal(each) { signal in
                Interruption.number.store(signal, ordering: .releasing)
                Interruption.raised.wake()
            }
        }
    }

    /// Has `action` run when the process is interrupted.
    static func handler(_ action: @escaping @Sendable () -> Void) -> Handler {
        let handler = Handler(action)
        handlers.withLock { $0.append(handler) }
        return handler
    }
}
