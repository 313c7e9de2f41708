import Domain
import EventLog
import JSON
import Postgres
import Proof

/// A page of the source's lines, checked for all that can be seen of them alone, and ready to be
/// stored: made by the thread that fetches, while the one that writes stores the page in front.
struct LineBatch: Sendable {
    /// The position in front of the first line.
    let after: Int64
    private(set) var leaves: [Digest] = []
    /// Rows for ``LogScan/eventColumns``.
    private(set) var rows = CopyRows()
    /// The events among them that change the state.
    private(set) var changes: [(event: LedgerEvent, context: EventContext)] = []
    /// Of the last line, or of the one in front of the first.
    private(set) var recordedAt: Timestamp
    /// What is wrong with the line behind the last one that was taken.
    private(set) var divergence: Divergence?

    /// The position of the last line.
    var through: Int64 { after + Int64(leaves.count) }

    /// A line of a kind that this program does not know.
    struct UnknownEvent: Error, CustomStringConvertible {
        let position: Int64
        let reason: String

        var description: String {
            "The event at position \(position) is not known to this program (\(reason)). The source is "
                + "a newer ledger: run the same here."
        }
    }

    /// Reads lines, each with its line break, up to the first that does not fit.
    init(
        _ bytes: [UInt8], after: Int64, recordedAt: Timestamp, parser: inout LineParser
    ) throws(UnknownEvent) {
        self.after = after
        self.recordedAt = recordedAt
        rows = CopyRows(capacity: bytes.count + bytes.count / 4)
        leaves.reserveCapacity(bytes.count / 256)
        let result: Result<Void, UnknownEvent> = bytes.withUnsafeBytes { buffer in
            var rest = buffer
            do throws(UnknownEvent) {
                while divergence == nil, let line = ByteScan.line(&rest) { try add(line, &parser) }
            } catch { return .failure(error) }
            return .success(())
        }
        try result.get()
    }

    private mutating func add(
        _ line: UnsafeRawBufferPointer, _ parser: inout LineParser
    ) throws(UnknownEvent) {
        let due = through + 1
        guard let fields = parser.parse(line), fields.isStorable else {
            divergence = Divergence(
                .malformedLine, at: due, "the line is not the exact line of an event")
            return
        }
        guard fields.position == due else {
            divergence = Divergence(
                .wrongPosition, at: due, "the line is that of position \(fields.position)")
            return
        }
        guard fields.recordedAt >= recordedAt else {
            divergence = Divergence(
                .wrongOrder, at: due,
                "recorded at \(fields.recordedAt), before the event in front of it (\(recordedAt))")
            return
        }
        if StreamName.statePrefixes.contains(where: { fields.stream.begins(with: $0) }) {
            let event = fields.event
            do { changes.append((try event.decoded(), event.context)) } catch {
                throw UnknownEvent(position: due, reason: "\(event.type): \(error)")
            }
        }
        recordedAt = fields.recordedAt
        leaves.append(MerkleFrontier.leaf(line))
        rows.event(fields)
    }
}
