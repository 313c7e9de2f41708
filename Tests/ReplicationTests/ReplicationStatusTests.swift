import Testing

@testable import Replication

@Suite("The status of a follower")
struct ReplicationStatusTests {
    private let start = ContinuousClock.now

    private func notes(at position: Int64 = 0) -> ReplicationNotes {
        ReplicationNotes(position: position, verifiedPosition: position, now: start)
    }

    @Test("is behind by what the source has more, and since it last had all")
    func lag() {
        var notes = notes()
        #expect(notes.status(source: "s", at: start).state == .connecting)
        notes.hear(sourcePosition: 100, at: start)
        notes.advance(to: 40, verified: 10, at: start + .seconds(1))
        var status = notes.status(source: "s", at: start + .seconds(2))
        #expect(status.state == .live && status.lagEvents == 60)
        #expect(status.lagSeconds == 2 && status.verifiedPosition == 10)
        notes.advance(to: 100, verified: 90, at: start + .seconds(3))
        status = notes.status(source: "s", at: start + .seconds(4))
        #expect(status.lagEvents == 0 && status.lagSeconds == 0)
    }

    @Test("a long backlog is caught up with")
    func backlog() {
        var notes = notes()
        notes.hear(sourcePosition: 1_000_000, at: start)
        #expect(notes.status(source: "s", at: start).state == .catchingUp)
    }

    @Test("silence of the source is lag, too, though no further event is known of")
    func silence() {
        var notes = notes(at: 5)
        notes.hear(sourcePosition: 5, at: start)
        #expect(notes.status(source: "s", at: start + .seconds(3)).lagSeconds == 0)
        #expect(notes.status(source: "s", at: start + .seconds(9)).lagSeconds == 9)
    }

    @Test("troubles are of the thread that has them; a divergence hides them")
    func troubles() {
        var notes = notes()
        notes.hear(sourcePosition: 0, at: start)
        notes.troubles[.checkpoints] = "no checkpoint"
        #expect(notes.status(source: "s", at: start).state == .live)
        #expect(notes.status(source: "s", at: start).trouble == "no checkpoint")
        notes.troubles[.lines] = "away"
        #expect(notes.status(source: "s", at: start).state == .disconnected)
        notes.divergence = Divergence(.fork, at: 3, "x")
        #expect(notes.status(source: "s", at: start).state == .diverged)
    }
}
