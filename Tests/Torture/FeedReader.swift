import Curl
import EventLog
import SeededRandomness

/// Follows the live feed, now of this node and now of that, and writes down every line it is sent.
struct FeedReader {
    private let number: Int
    private let crowd: Crowd
    private var generator: SeededGenerator
    private let transfer = Transfer()
    /// The last position it was sent.
    private var position: Int64

    /// How long it stays with a node.
    private static let stayMilliseconds = 2_000

    init(_ number: Int, of crowd: Crowd, from position: Int64, _ generator: SeededGenerator) {
        self.number = number
        self.crowd = crowd
        self.position = position
        self.generator = generator
    }

    mutating func run() {
        while !crowd.isStopped {
            let node = Int.random(in: 0..<crowd.urls.count, using: &generator)
            let invoked = crowd.clock.now
            let frames = FrameCollector()
            let request = Request(
                url: "\(crowd.urls[node])/v1/events?after=\(position)",
                headers: [
                    ("Accept", "text/event-stream"), ("Authorization", "Bearer \(crowd.key)"),
                ], timeoutMilliseconds: Self.stayMilliseconds)
            // It ends in all ways, mostly by its time being over; what came before counts.
            let end = Result {
                try transfer.stream(request) {
                    frames.status = $0.status
                } onBody: { [crowd] piece in
                    frames.append(piece)
                    return !crowd.isStopped
                }
            }
            record(node, invoked, frames, end)
        }
    }

    private mutating func record(
        _ node: Int, _ invoked: Int64, _ frames: FrameCollector, _ end: Result<Void, any Error>
    ) {
        let lines = frames.lines
        var operation = Operation(
            client: number, node: node, invoked: invoked, completed: crowd.clock.now,
            request: .page(after: position, limit: .max), outcome: .unknown("\(end)"))
        if frames.status == 200 {
            operation.outcome = .answered(Answer(lines: lines))
            position += Int64(lines.count)
        } else {
            crowd.pause(.milliseconds(50))
        }
        crowd.record(operation)
    }
}

/// Takes a stream of server-sent events apart.
private final class FrameCollector {
    var status = 0
    /// Of the frames that are complete.
    private(set) var lines: [Digest] = []
    private var buffer: [UInt8] = []

    private static let start = Array("data: ".utf8)

    func append(_ piece: UnsafeRawBufferPointer) {
        guard status == 200 else { return }
        buffer += piece
        while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
            let line = buffer[..<end]
            if line.starts(with: Self.start) {
                lines.append(MerkleFrontier.leaf(Array(line.dropFirst(Self.start.count))))
            }
            buffer.removeFirst(end + 1)
        }
    }
}
