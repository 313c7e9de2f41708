import Postgres
import Synchronization

/// Hands values from one thread to another, at most so many ahead.
///
/// For one sender and one receiver: each sleeps on a signal that the other raises.
final class BoundedChannel<Element: Sendable>: Sendable {
    private struct Contents {
        var elements: [Element] = []
        var isClosed = false
    }

    private let contents = Mutex(Contents())
    private let countMax: Int
    private let added = Signal()
    private let taken = Signal()

    init(countMax: Int) { self.countMax = countMax }

    /// Waits for room and adds a value; false once the channel is closed.
    func send(_ element: Element) -> Bool {
        while true {
            let (isSent, isClosed) = contents.withLock { contents in
                guard !contents.isClosed, contents.elements.count < countMax else {
                    return (false, contents.isClosed)
                }
                contents.elements.append(element)
                return (true, false)
            }
            if isSent { added.wake() }
            if isSent || isClosed { return isSent }
            taken.wait(timeout: nil)
        }
    }

    /// Waits for the next value; nil once the channel is closed and empty.
    func receive() -> Element? {
        while true {
            let (element, isClosed) = contents.withLock { contents in
                let element = contents.elements.isEmpty ? nil : contents.elements.removeFirst()
                return (element, contents.isClosed)
            }
            if element != nil { taken.wake() }
            if element != nil || isClosed { return element }
            added.wait(timeout: nil)
        }
    }

    /// Takes no more values; those sent can still be received.
    func close() {
        contents.withLock { $0.isClosed = true }
        added.wake()
        taken.wake()
    }
}
