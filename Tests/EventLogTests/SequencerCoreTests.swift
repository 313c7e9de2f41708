import Domain
import Proof
import Testing

@testable import EventLog

@Suite("The sequencer's core")
struct SequencerCoreTests {
    private func core() -> SequencerCore {
        SequencerCore(
            head: Head(
                position: 0, epoch: 1, recordedAt: Timestamp(microseconds: 0),
                frontier: MerkleFrontier()),
            state: State(), tiles: TreeTiles())
    }

    private func createLab(_ id: String) throws -> Submission {
        let document = GroupDocument(id: try #require(ResourceID(id)))
        return Submission(
            command: .apply([.group(.lab, document)], ApplyOptions()),
            context: CommandContext(actor: "local"), reply: { _ in })
    }

    @Test("never lets recordedAt go back, whatever the clock does")
    func clockGoesBack() throws {
        var core = core()
        for (lab, clock) in [("A", 2_000), ("B", 1_000), ("C", 3_000)] {
            let batch = core.prepare(
                [try createLab(lab)], facts: Facts(), kept: [:],
                clock: Timestamp(microseconds: Int64(clock)))
            core.commit(batch)
        }
        #expect(core.head.recordedAt.microseconds == 3_000)
        let labs = ["A", "B", "C"].compactMap { ResourceID($0) }.map {
            core.state.labs[$0]?.provenance.createdAt?.microseconds
        }
        #expect(labs == [2_000, 2_000, 3_000])
    }

    @Test("burns no position on a batch that was not committed")
    func abandonedBatch() throws {
        var core = core()
        let clock = Timestamp(microseconds: 1)
        let lost = core.prepare(
            [try createLab("LOST")], facts: Facts(), kept: [:], clock: clock)
        #expect(lost.eventCount == 1 && core.head.position == 0)
        let batch = core.prepare(
            [try createLab("KEPT")], facts: Facts(), kept: [:], clock: clock)
        core.commit(batch)
        #expect(core.head.position == 1)
        #expect(core.state.labs.keys.sorted().map(\.text) == ["DEFAULT", "KEPT"])
    }

    @Test("decides each command of a batch on what the ones before it did")
    func batchOrder() throws {
        var core = core()
        let batch = core.prepare(
            [try createLab("A"), try createLab("A"), try createLab("B")], facts: Facts(),
            kept: [:], clock: Timestamp(microseconds: 1))
        #expect(batch.eventCount == 2)
        let actions = batch.answers.map { _, result in
            (try? result.get())?.resources.first?.action
        }
        #expect(actions == [.created, .unchanged, .created])
    }
}
