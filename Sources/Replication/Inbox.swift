import EventLog
import Postgres
import Proof
import Synchronization

/// What the threads that ask the source leave for the one that writes: a few pages of lines, in
/// order, and the newest checkpoint, which waits behind no page.
final class Inbox: Sendable {
    enum Message: Sendable {
        case lines(LineBatch)
        case checkpoint(Checkpoint)
        case divergence(Divergence)
    }

    private struct Contents {
        var pages: [LineBatch] = []
        var checkpoint: Checkpoint?
        var divergence: Divergence?
        var isClosed = false
    }

    /// One is stored while the next is read and the one behind it is fetched.
    private static let pagesMax = 2

    private let contents = Mutex(Contents())
    private let added = Signal()
    private let taken = Signal()

    /// Waits for room; false once nothing more is wanted.
    func send(_ page: LineBatch) -> Bool {
        while true {
            let isSent = contents.withLock { contents -> Bool? in
                if contents.isClosed { return false }
                guard contents.pages.count < Self.pagesMax else { return nil }
                contents.pages.append(page)
                return true
            }
            if isSent == true { added.wake() }
            if let isSent { return isSent }
            taken.wait(timeout: nil)
        }
    }

    func post(_ checkpoint: Checkpoint) {
        contents.withLock { $0.checkpoint = checkpoint }
        added.wake()
    }

    func post(_ divergence: Divergence) {
        contents.withLock { $0.divergence = divergence }
        added.wake()
    }

    /// The next message, or nil after the timeout; lines only where `takesLines`.
    func next(takesLines: Bool, timeout: Duration) -> Message? {
        if let message = take(takesLines) { return message }
        added.wait(timeout: timeout)
        return take(takesLines)
    }

    private func take(_ takesLines: Bool) -> Message? {
        let message = contents.withLock { contents -> Message? in
            if let divergence = contents.divergence { return .divergence(divergence) }
            if let checkpoint = contents.checkpoint {
                contents.checkpoint = nil
                return .checkpoint(checkpoint)
            }
            guard takesLines, !contents.pages.isEmpty else { return nil }
            return .lines(contents.pages.removeFirst())
        }
        if case .lines = message { taken.wake() }
        return message
    }

    var isClosed: Bool { contents.withLock { $0.isClosed } }

    /// Takes and gives no more lines.
    func close() {
        contents.withLock { contents in
            contents.isClosed = true
            contents.pages = []
        }
        added.wake()
        taken.wake()
    }
}
