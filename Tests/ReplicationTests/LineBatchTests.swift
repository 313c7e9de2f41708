import Domain
import EventLog
import Proof
import SeededRandomness
import TestSupport
import Testing

@testable import Replication

@Suite("A page of the source's lines")
struct LineBatchTests {
    private static func events(_ count: Int, after: Int64 = 0) -> [StoredEvent] {
        (1...count).map { number in
            StoredEvent(
                position: after + Int64(number), id: EventID(high: 1, low: UInt64(number)),
                stream: "assignment/HERO/u\(number)", version: 1, type: "AssignmentMade",
                recordedAt: Timestamp(microseconds: Int64(number / 3)), actor: "key/test",
                data: Array("{}".utf8))
        }
    }

    private static func read(
        _ events: [StoredEvent], after: Int64 = 0,
        _ change: (inout [[UInt8]]) -> Void = { _ in }
    ) throws -> LineBatch {
        var lines = events.map(\.line)
        change(&lines)
        var parser = LineParser()
        return try LineBatch(
            lines.flatMap { $0 + [0x0A] }, after: after, recordedAt: Timestamp(microseconds: 0),
            parser: &parser)
    }

    @Test("is read into leaves and rows")
    func whole() throws {
        let events = Self.events(50, after: 7)
        let batch = try Self.read(events, after: 7)
        #expect(batch.divergence == nil && batch.through == 57)
        #expect(batch.leaves == events.map { MerkleFrontier.leaf($0.line) })
        #expect(batch.rows.count == 50 && batch.changes.isEmpty)
        #expect(batch.recordedAt == events.last?.recordedAt)
    }

    @Test("ends in front of the first line that does not fit, whatever is wrong with it")
    func faults() throws {
        var generator = SeededGenerator()
        for _ in 0..<50 {
            let events = Self.events(30)
            let bad = Int.random(in: 0..<29, using: &generator)
            for (kind, change) in [
                (.malformedLine, { $0[bad][12] = 0x20 }),
                (.malformedLine, { $0[bad].removeLast() }), (.malformedLine, { $0[bad] = [] }),
                (.wrongPosition, { $0.remove(at: bad) }),
                (.wrongPosition, { $0.swapAt(bad, bad + 1) }),
                (.wrongPosition, { $0.insert(events[29].line, at: bad) }),
                (
                    .wrongOrder,
                    {
                        var event = events[bad]
                        event.recordedAt = Timestamp(microseconds: -1)
                        $0[bad] = event.line
                    }
                ),
                (
                    .malformedLine,
                    {
                        var event = events[bad]
                        event.actor = "\u{0}"
                        $0[bad] = event.line
                    }
                ),
            ] as [(Divergence.Kind, (inout [[UInt8]]) -> Void)] {
                let batch = try Self.read(events, change)
                #expect(batch.divergence?.kind == kind)
                #expect(batch.divergence?.position == Int64(bad) + 1)
                #expect(batch.through == Int64(bad) && batch.rows.count == bad)
            }
        }
    }

    @Test("gives the events that change the state, and refuses those this program does not know")
    func changes() throws {
        var event = Self.events(1)[0]
        event.stream = "lab/A"
        event.type = "LabCreated"
        event.data = Array(#"{"resourceVersion":1,"metadata":{"id":"A"}}"#.utf8)
        #expect(try Self.read([event]).changes.count == 1)
        event.type = "LabPainted"
        #expect(throws: LineBatch.UnknownEvent.self) { try Self.read([event]) }
    }
}
