import JSON
import Testing

@testable import Domain

@Suite struct WebhookTests {
    private let settings = WebhookSettings(
        url: "https://example.com/", events: ["*"], encoder: "ndjson")

    private func ledger(start: WebhookStart = .now) throws -> TestLedger {
        var ledger = TestLedger()
        try ledger.change(.create(id: "hook", settings, secret: "s1", start: start))
        return ledger
    }

    @Test func `a new endpoint gets what comes after its own event`() throws {
        #expect(try ledger().hook?.start == 2)
        #expect(try ledger(start: .position(0)).hook?.start == 1)
        #expect(try ledger(start: .position(1)).hook?.start == 1)
        #expect(throws: Refusal.self) { try ledger(start: .position(2)) }
    }

    @Test func `an endpoint's name is its own until it is removed`() throws {
        var ledger = try ledger()
        #expect(throws: Refusal.self) {
            try ledger.change(.create(id: "hook", settings, secret: "s", start: .now))
        }
        #expect(try ledger.change(.remove) == ["WebhookRemoved"])
        #expect(ledger.hook == nil)
        #expect(throws: Refusal.self) { try ledger.change(.pause) }
        try ledger.change(.create(id: "hook", settings, secret: "s", start: .now))
        #expect(ledger.hook?.createdPosition == 3)
    }

    @Test func `what holds already is not recorded again`() throws {
        var ledger = try ledger()
        #expect(try ledger.change(.resume) == [])
        #expect(try ledger.change(.pause) == ["WebhookPaused"])
        #expect(try ledger.change(.pause) == [])
        #expect(try ledger.change(.disable(reason: "gone")) == [])
        #expect(try ledger.change(.resume) == ["WebhookResumed"])
        #expect(try ledger.change(.disable(reason: "gone")) == ["WebhookDisabled"])
        #expect(ledger.hook?.status == .disabled(reason: "gone"))
        #expect(throws: Refusal.self) { try ledger.change(.pause) }
        #expect(try ledger.change(.redeliver([])) == [])
    }

    @Test func `settings change only from the version that was read`() throws {
        var ledger = try ledger()
        var changed = settings
        changed.mode = .strict
        let refusal = #expect(throws: Refusal.self) {
            try ledger.change(.update(changed, expectedVersion: 7))
        }
        #expect(refusal?.actualVersion == 1)
        #expect(try ledger.change(.update(settings, expectedVersion: 1)) == [])
        #expect(try ledger.change(.update(changed, expectedVersion: 1)) == ["WebhookUpdated"])
        #expect(ledger.hook?.settings.mode == .strict)
        #expect(ledger.hook?.version == 2)
    }

    @Test func `the secret before is signed with for a day`() throws {
        var ledger = try ledger()
        let now = ledger.now
        try ledger.change(.rotateSecret("s2"))
        #expect(ledger.hook?.secret == "s2")
        #expect(ledger.hook?.previousSecret?.sealed == "s1")
        #expect(
            ledger.hook?.previousSecret?.until.microseconds
                == now.microseconds + 24 * 3_600_000_000)
    }

    @Test func `one replay runs at a time, within the log`() throws {
        var ledger = try ledger()
        for (from, through) in [(0, 1), (2, 1), (9, 10)] as [(Int64, Int64)] {
            #expect(throws: Refusal.self) {
                try ledger.change(.replay(from: from, through: through, rateLimit: nil))
            }
        }
        try ledger.change(.replay(from: 1, through: .max, rateLimit: 2))
        #expect(ledger.hook?.replays.first?.through == 1)
        #expect(throws: Refusal.self) {
            try ledger.change(.replay(from: 1, through: 1, rateLimit: nil))
        }
        #expect(throws: Refusal.self) { try ledger.change(.cancelReplay(2)) }
        #expect(try ledger.change(.cancelReplay(1)) == ["WebhookReplayCancelled"])
        #expect(try ledger.change(.completeReplay(1)) == [])
        try ledger.change(.replay(from: 1, through: 1, rateLimit: nil))
        #expect(try ledger.change(.completeReplay(2)) == ["WebhookReplayCompleted"])
        #expect(ledger.hook?.replays.map(\.status) == [.cancelled, .completed])
    }

    @Test(arguments: [
        ("AssignmentMade", "AssignmentMade", true), ("AssignmentMade", "ScoreRecorded", false),
        ("Experiment*", "ExperimentDefinitionChanged", true), ("*", "AssignmentMade", true),
        ("*", "KeyCreated", false), ("*", "WebhookCreated", false), ("Key*", "KeyCreated", true),
        ("Webhook*", "WebhookPaused", true),
    ])
    func `keys and webhooks are only sent where they are named`(
        pattern: String, type: String, isSelected: Bool
    ) {
        let settings = WebhookSettings(url: "", events: [pattern], encoder: "")
        #expect(settings.selects(type: type) == isSelected)
    }

    @Test func `the state is the fold of the log`() throws {
        var ledger = try ledger()
        try ledger.change(.rotateSecret("s2"))
        try ledger.change(.replay(from: 1, through: 2, rateLimit: nil))
        try ledger.change(.pause)
        var state = State()
        for line in ledger.log {
            state.evolve(
                try LedgerEvent(type: line.type, data: JSONValue.parse(line.data)),
                at: line.context)
        }
        #expect(state.webhooks == ledger.state.webhooks)
        #expect(state.changedPosition == 4)
    }
}

extension TestLedger {
    fileprivate var hook: Webhook? { state.webhooks["hook"] }

    @discardableResult
    fileprivate mutating func change(_ command: WebhookCommand) throws(Refusal) -> [String] {
        try run(.webhook("hook", command)).types
    }
}
