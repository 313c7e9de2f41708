import CPostgres
import Glibc
import Synchronization

/// A named POSIX thread, for work that blocks.
package final class OSThread: Sendable {
    private static let stackBytes = 8 << 20

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Nil once joined; a thread can be joined once only.
    private let thread: Mutex<pthread_t?>

    private init(_ thread: pthread_t) {
        self.thread = Mutex(thread)
    }

    deinit {
        thread.withLock { thread in
            if let thread { _ = pthread_detach(thread) }
        }
    }

    /// Starts a thread that runs `body`; the kernel shows the first 15 bytes of its name.
    @discardableResult
    package static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) -> OSThread {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = ledger_name_this_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        // Out of memory or threads: there is nothing to run without it.
        guard status == 0 else {
            fatalError("thread \(name): \(String(cString: strerror(status)))")
        }
        return OSThread(thread)
    }

    /// Waits for the thread to end; later calls return at once, as does the thread's own.
    package func join() {
        let taken = thread.withLock { thread in
            if let running = thread, pthread_equal(running, pthread_self()) != 0 {
                return nil as pthread_t?
            }
            return thread.take()
        }
        if let taken { pthread_join(taken, nil) }
    }
}
