import DequeModule
import Domain

/// The parts of the log that are in memory: its end, shared by all endpoints that keep pace, and
/// what those behind it have asked for.
struct LogWindow {
    /// An endpoint and its lane.
    typealias Reader = (webhook: String, lane: Int)

    private let reader: BlockReader
    private let inbox: Inbox
    /// The last position that is known to be committed.
    private(set) var head: Int64
    /// Contiguous, the newest last.
    private var tail: Deque<LogBlock> = []
    private var tailThrough: Int64
    private var isReadingTail = false
    /// What was read for endpoints behind the tail; others may be about to ask for the same.
    private var history: Deque<LogBlock> = []
    private var waiting: [BlockRequest: [Reader]] = [:]

    private static let tailBytesMax = 8 << 20
    private static let historyBytesMax = 4 << 20
    /// Events that are read at once from the end of the log.
    private static let tailCountMax: Int64 = 2_000
    /// Positions of a block for those behind it; each begins at a multiple of this, so that many
    /// endpoints on their way through the log meet in the same ones.
    private static let blockCount: Int64 = 512
    /// Events that are read for one endpoint alone, where a block would be too much.
    private static let fewEvents = 64

    init(_ reader: BlockReader, _ inbox: Inbox, head: Int64) {
        self.reader = reader
        self.inbox = inbox
        self.head = head
        tailThrough = head
    }

    // MARK: The end of the log

    /// Reads what was committed since, one block at a time, as long as there is anyone to read it.
    mutating func advance(to position: Int64, isWanted: Bool) {
        head = position
        guard isWanted else {
            tail = []
            if !isReadingTail { tailThrough = position }
            return
        }
        guard !isReadingTail, tailThrough < position else { return }
        isReadingTail = true
        let (reader, after) = (reader, tailThrough)
        let through = min(position, after + Self.tailCountMax)
        inbox.post(
            from: { try await reader.readTail(after: after, through: through) },
            as: { .tail($0) })
    }

    mutating func appendTail(_ block: LogBlock) {
        isReadingTail = false
        tail.append(block)
        tailThrough = block.through
        Self.shorten(&tail, to: Self.tailBytesMax)
    }

    mutating func tailFailed() { isReadingTail = false }

    // MARK: Blocks

    /// Whether what follows a position will come without being asked for.
    func isOnItsWay(after position: Int64) -> Bool { position >= tailThrough }

    /// A block that is in memory and has what follows a position.
    func block(after position: Int64) -> LogBlock? {
        if let first = tail.first, position >= first.after {
            return tail.first { position < $0.through }
        }
        return history.last { $0.after <= position && position < $0.through }
    }

    /// Has what follows a position read for an endpoint; whoever asks for the same shares it.
    ///
    /// It is a whole block, or few events where few are wanted or memory is short: an endpoint that
    /// is slow must not hold much.
    mutating func request(after: Int64, count: Int, for lane: Reader) {
        let isFew = count <= Self.fewEvents || LogBlock.isMemoryShort
        let start = isFew ? after : after - after % Self.blockCount
        let length = isFew ? Int64(min(count, Self.fewEvents)) : Self.blockCount
        let request = BlockRequest(after: start, through: min(start + length, tailThrough))
        if waiting[request] != nil {
            waiting[request]?.append(lane)
            return
        }
        waiting[request] = [lane]
        let reader = reader
        inbox.post(
            from: { try await reader.read(after: request.after, through: request.through) },
            as: { .history(request, $0) })
    }

    /// Those who wait for a request that has been answered.
    mutating func take(_ request: BlockRequest) -> [Reader] {
        waiting.removeValue(forKey: request) ?? []
    }

    mutating func remember(_ block: LogBlock) {
        history.append(block)
        Self.shorten(&history, to: Self.historyBytesMax)
    }

    private static func shorten(_ blocks: inout Deque<LogBlock>, to bytesMax: Int) {
        var bytes = blocks.reduce(0) { $0 + $1.byteCount }
        while bytes > bytesMax, blocks.count > 1 { bytes -= blocks.removeFirst().byteCount }
    }
}
