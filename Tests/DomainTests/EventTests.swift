import JSON
import Testing

@testable import Domain

@Suite struct EventTests {
    private static let variant = Variant(
        id: id("a"), isControl: true, name: "A \"é\"", description: "line\nline")
    private static let cohort = Cohort(
        index: 2, createdAt: Timestamp("2020-08-22T04:30:08.000001Z")!,
        splits: [Split(variant: id("a"), split: 0.1 + 0.2), Split(variant: id("b"), split: 0.7)])
    private static let changes = [
        FieldChange(field: .name, before: .null, after: "N"),
        FieldChange(
            field: .links, before: .object([]), after: .object([.init("a/b~\"", "u")])),
    ]

    private static let plain = Experiment(
        id: id("e"), lab: .defaultLab, subjectType: .anySubjectType)
    private static let full = Experiment(
        id: id("e"), name: "N", description: "D", lab: id("l"), subjectType: id("s"),
        hypothesis: "H", links: [Link(name: "b", target: "1"), Link(name: "a", target: "2")])

    static let events: [LedgerEvent] =
        [
            .groupCreated(.lab, Group(id: id("l"))),
            .groupCreated(
                .subjectType,
                Group(id: id("s"), name: "S", description: "D", status: .archived)),
            .groupUpdated(.lab, id("l"), resourceVersion: 7, changes),
            .groupUpdated(.subjectType, id("s"), resourceVersion: 2, changes),
            .assignmentMade(
                AssignmentMade(
                    experiment: id("e"), subject: "s/%\u{1}", subjectType: id("t"),
                    variant: id("a"), cohort: 3, u: 0.1234567890123456789)),
            .keyCreated(Key(id: "k", role: .editor, name: "CI", salt: "00", hash: "ff")),
            .keyCreated(Key(id: "k", role: .admin, name: nil, salt: "00", hash: "ff")),
            .keyRevoked(id: "k"),
        ]
        + ([
            .created(plain), .created(full), .updated(changes), .variantAdded(variant),
            .variantAdded(Variant(id: id("b"), isControl: false)), .variantRemoved(variant),
            .variantUpdated(before: variant, after: Variant(id: id("a"), isControl: false)),
            .cohortAdded(cohort), .activated(from: .draft),
            .winnerDeclared(id("a"), previous: nil, from: .active),
            .winnerDeclared(id("a"), previous: id("b"), from: .winnerDeclared),
            .ended(.noStatSig, from: .winnerDeclared), .archived(from: .ended),
            .reopened(to: .active, reason: "why", from: .archived),
        ] as [ExperimentChange]).map { .experiment(id("e"), resourceVersion: 3, $0) }

    private static let step = StepKey(function: "f/%", name: "\u{1F600}")
    private static let weighted = StepDefinition(
        strategy: .weighted, variants: ["a", "B\u{301}"],
        weights: [Weight(variant: "B\u{301}", weight: 0.1), Weight(variant: "a", weight: 1e21)],
        hashVersion: .salted)
    private static let fixed = StepDefinition(
        strategy: .fixed, variants: ["a", "b"], fixed: "b")
    private static let score = ScoreRecorded(
        unit: UnitKey(step: step, run: "r/1"), variant: "a", cohort: 2, name: "na me",
        value: .number(-0.1), occurredAt: Timestamp("2020-08-22T04:30:08.000001Z")!, stepID: "s",
        metadata: Array(#"{"a":[1]}"#.utf8))
    private static let unattributed = ScoreRecorded(
        unit: UnitKey(experiment: id("e"), subject: "s/%"), name: "n", value: .boolean(true),
        occurredAt: Timestamp("2020-08-22T04:30:08.000001Z")!)

    static let unitEvents: [LedgerEvent] = [
        .stepCreated(step, weighted), .stepCreated(step, fixed),
        .definitionChanged(
            DefinitionChanged(
                step: step, number: 2, previous: 1, before: weighted, after: fixed)),
        .variantSelected(
            VariantSelected(
                step: step, run: "r/1", variant: "a", declared: weighted, definition: 1, h: 0.25,
                bucketHash: nil, rollout: nil, appVersion: "1", sdkVersion: "2")),
        .variantSelected(
            VariantSelected(
                step: step, run: "r/1", variant: "b", declared: fixed, definition: 2, h: nil,
                isNullishBucket: true, bucketHash: "ff", rollout: 7)),
        .rolloutChanged(RolloutChanged(step: step, key: "k/", variant: "a", previous: nil)),
        .rolloutChanged(RolloutChanged(step: step, key: "k/", variant: nil, previous: "a")),
        .scoreRecorded(score), .scoreRecorded(unattributed),
        .scoreRetracted(ScoreRetracted(score: score, position: 9, reason: "wrong")),
        .scoreRetracted(ScoreRetracted(score: unattributed, position: 9, reason: nil)),
    ]

    private static var settings: WebhookSettings {
        var settings = WebhookSettings(
            url: "https://example.com/?a=\"b\"", events: ["AssignmentMade", "Experiment*"],
            encoder: "ndjson")
        settings.filter = WebhookFilter(lab: id("l"), experiment: "e/1", function: "f")
        settings.mode = .strict
        settings.batchCountMax = 7
        settings.batchBytesMax = 700
        settings.allow = ["10.0.0.0/8"]
        settings.headers = ["Authorization"]
        settings.rateLimit = 0.5
        settings.compressesBodies = true
        settings.signature = .ed25519
        settings.authorities = "PEM"
        settings.certificate = "PEM"
        settings.sealed = "sealed"
        return settings
    }

    static let webhookEvents: [LedgerEvent] = [
        .created(
            WebhookSettings(url: "http://u/", events: ["*"], encoder: "clickhouse"), secret: "s",
            start: 1),
        .created(settings, secret: "s", start: 9),
        .updated(
            before: settings,
            after: WebhookSettings(url: "http://u/", events: ["*"], encoder: "segment")),
        .secretRotated(
            secret: "t", previousUntil: Timestamp("2020-08-22T04:30:08.000001Z")!),
        .paused, .resumed(from: "paused"), .disabled(reason: "gone"), .removed(settings),
        .replayRequested(
            WebhookReplay(
                number: 1, from: 2, through: 3, rateLimit: 1.5, requestedAt: .notGiven)),
        .replayCancelled(1), .replayCompleted(1), .redelivered([3, 4]),
    ].map { .webhook("hook", $0) }

    static let sealedEvents: [LedgerEvent] = [
        .experiment(
            id("s"), resourceVersion: 1,
            .created(
                Experiment(
                    id: id("s"), lab: .defaultLab, subjectType: .anySubjectType, isSealed: true))),
        .assignmentMade(
            AssignmentMade(
                experiment: id("s"), subject: "sealed-1", subjectType: id("any"),
                variant: id("a"), cohort: 1, u: 0.5, sealed: "YQ==")),
        .subjectErased(
            SubjectErased(token: "sealed-1", reason: "asked", experiments: [id("s"), id("t")])),
        .subjectErased(SubjectErased(token: "sealed-1", reason: nil, experiments: [])),
    ]

    private static var all: [LedgerEvent] {
        events + unitEvents + webhookEvents + sealedEvents
    }

    @Test func `an event reads back from its type and data`() throws {
        for event in Self.all {
            let data = try JSONValue.parse(event.data)
            let read = try LedgerEvent(type: event.type, data: data)
            #expect(read == event)
            #expect(read.data == event.data)
            #expect(event.unknownFields(in: data) == [])
        }
    }

    @Test func `every type that can be read is written by an event`() {
        #expect(Set(Self.all.map(\.type)) == Set(LedgerEvent.types))
    }

    @Test func `every field that can change reads back`() throws {
        for field in FieldChange.Field.allCases {
            let event = LedgerEvent.experiment(
                id("e"), resourceVersion: 1,
                .updated([FieldChange(field: field, before: "a", after: .null)]))
            #expect(
                try LedgerEvent(type: event.type, data: JSONValue.parse(event.data)) == event)
        }
    }

    @Test func `data that lacks what its type needs is refused with a pointer`() throws {
        for event in Self.events {
            let data = try JSONValue.parse(event.data)
            let keys = (data.object ?? []).map(\.key).filter {
                !["resourceVersion", "previous", "from", "name", "spec", "experiment"].contains($0)
            }
            for key in keys where key != "metadata" || event.type != "ExperimentCreated" {
                let cut = JSONValue.object((data.object ?? []).filter { $0.key != key })
                let error = #expect(throws: EventDecodingError.self) {
                    try LedgerEvent(type: event.type, data: cut)
                }
                #expect(error?.pointer.hasPrefix("/\(key)") == true)
            }
        }
    }

    @Test func `an audited change shows what was and what is`() {
        for event in Self.all {
            let change = event.audited
            #expect(change.before != change.after, "\(event.type)")
            #expect(!change.summary.isEmpty)
        }
        let declared = LedgerEvent.experiment(
            id("e"), resourceVersion: 3, .winnerDeclared(id("a"), previous: id("b"), from: .active)
        ).audited
        #expect(declared.before == json(#"{"status":"active","winningVariant":"B"}"#))
        #expect(declared.after == json(#"{"status":"winner_declared","winningVariant":"A"}"#))
        let ended = LedgerEvent.experiment(
            id("e"), resourceVersion: 3, .ended(.success, from: .active)
        ).audited
        #expect(ended.after == json(#"{"status":"ended","endedReason":"success"}"#))
        let updated = LedgerEvent.groupUpdated(
            .lab, id("l"), resourceVersion: 2, Self.changes
        ).audited
        #expect(updated.after["/metadata/name"] == "N")
        #expect(updated.before["/metadata/name"] == .null)
    }

    @Test func `no audited change shows a key's hash`() throws {
        let key = LedgerEvent.keyCreated(
            Key(id: "k", role: .admin, name: nil, salt: "5a17", hash: "4a54"))
        let shown = String(decoding: key.audited.after.encoded, as: UTF8.self)
        #expect(!shown.contains("5a17") && !shown.contains("4a54"))
    }

    @Test func `a key is made once and revoked once`() throws {
        var ledger = TestLedger()
        let key = Key(id: "ci", role: .editor, name: nil, salt: "00", hash: "ff")
        try ledger.run(.createKey(key))
        #expect(
            refusal { () throws(Refusal) in try ledger.run(.createKey(key)) }?.kind == .conflict)
        #expect(try ledger.run(.revokeKey(id: "ci")).types == ["KeyRevoked"])
        #expect(try ledger.run(.revokeKey(id: "ci")).types == [])
        #expect(ledger.state.keys["ci"]?.revokedAt != nil)
        #expect(
            refusal { () throws(Refusal) in try ledger.run(.revokeKey(id: "x")) }?.kind
                == .notFound)
        #expect(try ledger.replayed() == ledger.state)
    }
}
