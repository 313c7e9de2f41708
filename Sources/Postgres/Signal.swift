import CPostgres
import Glibc

/// Wakes a thread that waits, from any other: an eventfd.
///
/// Wakes do not add up: however many came, the next `wait` returns once.
package final class Signal: Sendable {
    /// To be polled for reading, beside other descriptors; stays ready until drained.
    package let descriptor: Int32

    package init() {
        descriptor = eventfd(0, ledger_eventfd_flags)
        // Out of descriptors at start: there is nothing to run without it.
        guard descriptor >= 0 else { fatalError("eventfd: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    package func wake() {
        // Fails only when the counter is full, and then the signal is raised anyway.
        _ = eventfd_write(descriptor, 1)
    }

    /// Waits for a wake and takes it; false when the timeout passed first. Nil waits for ever.
    @discardableResult
    package func wait(timeout: Duration?) -> Bool {
        guard waitUntilRaised(timeout: timeout) else { return false }
        drain()
        return true
    }

    /// Waits for a wake and leaves it for everybody else; false when the timeout passed first.
    package func waitUntilRaised(timeout: Duration?) -> Bool {
        var descriptors = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
        return Poll.wait(&descriptors, until: timeout.map { ContinuousClock.now + $0 })
    }

    /// Takes back all wakes so far.
    package func drain() {
        var count: eventfd_t = 0
        _ = eventfd_read(descriptor, &count)
    }

    /// Whether a wake has come and was not taken.
    package var isRaised: Bool { waitUntilRaised(timeout: .zero) }
}
