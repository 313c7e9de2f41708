import CCurl
import Glibc
import Synchronization

/// Makes a `MultiTransfer` return from its wait, from whatever thread.
package final class Waker: Sendable {
    let descriptor: Int32
    /// Whether a wake is on its way, so that further ones cost no system call.
    private let isAwake = Atomic(false)

    init() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else { fatalError("eventfd failed with error \(errno)") }
    }

    deinit {
        close(descriptor)
    }

    /// Makes the wait under way return, or else the next one.
    package func wake() {
        guard !isAwake.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one = UInt64(1)
        // It fails only if the counter is full, and then the wait returns anyway.
        _ = write(descriptor, &one, MemoryLayout.size(ofValue: one))
    }

    /// Takes note of the wakes up to now.
    func reset() {
        var count = UInt64(0)
        _ = read(descriptor, &count, MemoryLayout.size(ofValue: count))
        // After the read: a wake between the two writes nothing, as this wait returns for it, too.
        // The other way round it would be read away with the flag left up, and so be the last one.
        isAwake.store(false, ordering: .sequentiallyConsistent)
    }
}
