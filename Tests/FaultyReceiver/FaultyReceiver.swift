import Foundation
import Synchronization

/// An HTTP/1.1 server on 127.0.0.1 that treats each request as a closure says, well or badly.
///
/// It reads requests as a server would, keeps what it has read, and serves any number of
/// connections at once, each on its own thread.
package final class FaultyReceiver: Sendable {
    /// The port it listens on.
    package let port: Int
    private let listener: ListeningSocket
    private let resetsConnection: @Sendable (Int) -> Bool
    private let behaviour: @Sendable (Received) -> Behaviour
    private let state = Mutex(State())
    private let hasChanged = NSCondition()

    private struct State {
        var received: [Received] = []
        var connectionCount = 0
        var open: Set<Int32> = []
        var isStopped = false
    }

    /// Starts a receiver.
    ///
    /// - Parameters:
    ///   - behaviour: What to do with each request; it is called on many threads.
    ///   - resetsConnection: Whether the connection of that number, from 1, is reset as soon as it
    ///     is there.
    package init(
        _ behaviour: @escaping @Sendable (Received) -> Behaviour = { _ in .success },
        resetsConnection: @escaping @Sendable (Int) -> Bool = { _ in false }
    ) {
        listener = ListeningSocket()
        port = listener.port
        self.resetsConnection = resetsConnection
        self.behaviour = behaviour
        Thread.detachNewThread { [self] in
            while let descriptor = listener.accept() {
                begin(descriptor)
            }
            listener.close()
        }
    }

    /// The URL of its root, without a slash at the end.
    package var url: String { "http://127.0.0.1:\(port)" }

    /// The requests read up to now, in the order in which they ended.
    package var received: [Received] { state.withLock { $0.received } }

    /// How many connections were accepted.
    package var connectionCount: Int { state.withLock { $0.connectionCount } }

    /// How many connections are open now.
    package var openConnectionCount: Int { state.withLock { $0.open.count } }

    /// Waits until the receiver is as the closure wants it; false if it is not within ten seconds.
    package func wait(until isReached: (FaultyReceiver) -> Bool) -> Bool {
        let deadline = Date(timeIntervalSinceNow: 10)
        hasChanged.lock()
        defer { hasChanged.unlock() }
        while !isReached(self) {
            guard hasChanged.wait(until: deadline) else { return isReached(self) }
        }
        return true
    }

    /// Ends the receiver and all its connections: a new connection is then refused.
    package func stop() {
        listener.stopAccepting()
        state.withLock { state in
            state.isStopped = true
            for descriptor in state.open {
                shutdown(descriptor, Int32(SHUT_RDWR))
            }
        }
    }

    private func begin(_ descriptor: Int32) {
        let number = change { state in
            state.connectionCount += 1
            state.open.insert(descriptor)
            if state.isStopped {
                shutdown(descriptor, Int32(SHUT_RDWR))
            }
            return state.connectionCount
        }
        let thread = Thread { [self] in
            let connection = ReceiverConnection(descriptor, number: number)
            if resetsConnection(number) {
                connection.resetWhenClosed()
            } else {
                serve(connection)
            }
            // Closed under the lock, so that `stop` can't mean another's descriptor.
            change { state in
                state.open.remove(descriptor)
                close(descriptor)
            }
        }
        thread.stackSize = 256 << 10
        thread.start()
    }

    private func serve(_ connection: ReceiverConnection) {
        while let request = connection.readRequest() {
            change { $0.received.append(request) }
            guard connection.perform(behaviour(request)) else { return }
        }
    }

    @discardableResult
    private func change<Result: Sendable>(_ body: (inout sending State) -> Result) -> Result {
        let result = state.withLock { body(&$0) }
        hasChanged.lock()
        hasChanged.broadcast()
        hasChanged.unlock()
        return result
    }
}
