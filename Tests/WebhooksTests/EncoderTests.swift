import Domain
import JSON
import Testing

@testable import Webhooks

@Suite struct EncoderTests {
    private static let all = [
        Examples.assignment, Examples.selection, Examples.score, Examples.runScore,
        Examples.unattributed,
    ]

    private static let id42 = "0190f3a0-0000-7000-8000-00000000002a"

    @Test func everyEncoderIsFoundByItsName() {
        #expect(Set(Encoders.all.map { $0.name }).count == Encoders.all.count)
        for encoder in Encoders.all { #expect(Encoders.named(encoder.name) == encoder) }
        #expect(Encoders.named("ndjson ") == nil)
    }

    @Test(arguments: ["segment", "posthog", "amplitude"])
    func aServiceThatKnowsItsSendersByAKeyAsksForIt(name: String) throws {
        let encoder = try #require(Encoders.named(name))
        for key in [nil, ""] {
            let error = #expect(throws: EncoderSettingsError.self) {
                try encoder.init(EncoderSettings(apiKey: key, source: "s"))
            }
            #expect(error?.description.hasPrefix("The encoder \(name) needs an API key: ") == true)
        }
    }

    @Test(arguments: Encoders.all.map { $0.name })
    func bodiesAreWhatTheirMediaTypeSaysForOneEventAndForMany(name: String) throws {
        let encoder = try #require(Encoders.named(name)).init(Examples.settings)
        let carried = Self.all.filter { encoder.carries($0.type) }
        #expect(!carried.isEmpty)
        for count in 1...min(carried.count, encoder.limits.countMax) {
            let body = try encoder.body(carried.prefix(count))
            if encoder.contentType == "application/x-ndjson" {
                let lines = body.split(separator: UInt8(ascii: "\n"))
                #expect(lines.count == count && body.last == UInt8(ascii: "\n"))
                for line in lines { _ = try JSONValue.parse(Array(line)) }
            } else {
                _ = try JSONValue.parse(body)
            }
        }
    }

    @Test(arguments: Encoders.all.map { $0.name })
    func theSizeOfABodyIsTheSumOfItsParts(name: String) throws {
        let encoder = try #require(Encoders.named(name)).init(Examples.settings)
        let carried = Self.all.filter { encoder.carries($0.type) }
        let events = try carried.map { try encoder.text($0).utf8.count }
        let around = encoder.opening.count + encoder.closing.count
        let between = encoder.separator.count * (carried.count - 1)
        #expect(
            try encoder.body(carried).count == events.reduce(0, +) + around + between)
    }

    @Test(arguments: Encoders.all.map { $0.name })
    func anEventOfTheLargestSizeFitsABody(name: String) throws {
        let encoder = try #require(Encoders.named(name)).init(Examples.settings)
        let limits = encoder.limits
        guard limits.eventBytesMax != .max else { return }
        let around = encoder.opening.count + encoder.closing.count
        #expect(limits.eventBytesMax + around <= limits.bytesMax)
    }

    @Test func aLineThatCannotBeReadLeavesTheBodyAsItWas() throws {
        var broken = Examples.assignment
        broken.line = broken.line.dropLast(9)
        let noUnit = Examples.event(
            position: 9, stream: "s", type: "AssignmentMade", data: #"{"experiment":"HERO"}"#)
        let noScore = Examples.event(
            position: 9, stream: "s", type: "ScoreRecorded",
            data: #"{"experiment":"HERO","subject":"u","name":"n","value":"12"}"#)
        for event in [broken, noUnit, noScore] {
            let encoder = try SegmentEncoder(Examples.settings)
            var body = Array("kept".utf8)
            let error = #expect(throws: UnreadableEvent.self) {
                try encoder.append(event, to: &body)
            }
            #expect(error?.position == event.position)
            #expect(body == Array("kept".utf8))
        }
    }

    // MARK: Types

    /// Receivers choose by these names, so a new type shows its own here.
    @Test func typesAreWordsInLowerCaseWithDots() {
        let dotted = LedgerEvent.types.map {
            String(decoding: DottedType.bytes(of: $0), as: UTF8.self)
        }
        #expect(
            dotted == [
                "lab.created", "lab.updated", "subject.type.created", "subject.type.updated",
                "experiment.created", "experiment.updated", "variant.added", "variant.updated",
                "variant.removed", "cohort.added", "experiment.activated", "winner.declared",
                "experiment.ended", "experiment.archived", "experiment.reopened",
                "assignment.made", "step.experiment.created", "experiment.definition.changed",
                "variant.selected", "rollout.changed", "score.recorded", "score.retracted",
                "subject.erased", "key.created", "key.revoked", "webhook.created",
                "webhook.updated",
                "webhook.secret.rotated", "webhook.paused", "webhook.resumed", "webhook.disabled",
                "webhook.removed", "webhook.replay.requested", "webhook.replay.cancelled",
                "webhook.replay.completed", "webhook.redelivered",
            ])
    }

    @Test func aTypeThatIsNotKnownYetIsWrittenTheSameWay() {
        #expect(
            DottedType.bytes(of: "SomethingNewHappened") == Array("something.new.happened".utf8))
    }

    // MARK: The feed's lines

    @Test func standardWebhooksWrapTheExactLine() throws {
        let encoder = StandardWebhooksEncoder(Examples.settings)
        #expect(encoder.limits.countMax == 1)
        for (event, type) in [
            (Examples.assignment, "assignment.made"), (Examples.selection, "variant.selected"),
            (Examples.score, "score.recorded"),
        ] {
            #expect(
                try encoder.text(event)
                    == #"{"type":"\#(type)","timestamp":"2026-01-02T03:04:05.678901Z","data":"#
                    + event.lineText + "}")
        }
    }

    @Test func ndjsonSendsTheExactLines() throws {
        let encoder = NDJSONEncoder(Examples.settings)
        let body = try encoder.body(Self.all)
        #expect(
            String(decoding: body, as: UTF8.self)
                == Self.all.map { $0.lineText + "\n" }.joined())
    }

    @Test func cloudEventsWrapTheExactLine() throws {
        let expected =
            #"{"specversion":"1.0","id":"\#(Self.id42)","source":"https://ledger.example/prod","#
            + #""type":"ledger.assignment.made","subject":"assignment/HERO/u \"1\" Zoë%2F","#
            + #""time":"2026-01-02T03:04:05.678901Z","sequence":"0000000000000000042","#
            + #""datacontenttype":"application/json","data":"# + Examples.assignment.lineText + "}"
        #expect(try CloudEventsEncoder(Examples.settings).text(Examples.assignment) == expected)
        let batch = try CloudEventsBatchEncoder(Examples.settings).body([Examples.assignment])
        #expect(String(decoding: batch, as: UTF8.self) == "[\(expected)]")
    }

    @Test func theSequenceOfCloudEventsSortsAsATextUpToTheLastPosition() throws {
        let encoder = CloudEventsEncoder(Examples.settings)
        let sequences = try [Int64(1), 9, 10, .max].map { position in
            var event = Examples.score
            event.position = position
            return try JSONValue.parse(Array(encoder.text(event).utf8))["sequence"]?.string ?? ""
        }
        #expect(sequences == sequences.sorted())
        #expect(sequences.last == "9223372036854775807")
    }

    // MARK: Product analytics

    @Test func segmentIsToldOfExposuresAndScoresByTracking() throws {
        let encoder = try SegmentEncoder(Examples.settings)
        #expect(
            String(decoding: try encoder.body([Examples.assignment]), as: UTF8.self)
                == #"{"writeKey":"key\"1","batch":[{"type":"track","messageId":"\#(Self.id42)","#
                + #""userId":"u \"1\" Zoë/","event":"Experiment Viewed","#
                + #""timestamp":"2026-01-02T03:04:05.678901Z","properties":{"#
                + #""experiment_id":"HERO","experiment_name":"HERO","variation_id":"B","#
                + #""variation_name":"B","cohort":2}}]}"#)
        #expect(
            try encoder.text(Examples.selection).hasSuffix(
                #""userId":"run-1","event":"Experiment Viewed","#
                    + #""timestamp":"2026-01-02T03:04:05.678901Z","properties":{"#
                    + #""experiment_id":"app%2Ffn/hero copy","experiment_name":"hero copy","#
                    + #""variation_id":"new","variation_name":"new","definition":3}}"#))
        #expect(
            try encoder.text(Examples.score).hasSuffix(
                #""userId":"u-1","event":"Score Recorded","#
                    + #""timestamp":"2026-01-01T00:00:00.000000Z","properties":{"#
                    + #""experiment_id":"HERO","experiment_name":"HERO","variation_id":"B","#
                    + #""variation_name":"B","cohort":2,"score_name":"latency, ms","value":12.5}}"#)
        )
    }

    @Test func aBooleanScoreIsOneOrNothingAndAnUnattributedOneNamesNoVariant() throws {
        let encoder = try SegmentEncoder(Examples.settings)
        #expect(
            try encoder.text(Examples.runScore).hasSuffix(
                #""definition":3,"score_name":"ok","value":1}}"#))
        #expect(
            try encoder.text(Examples.unattributed).hasSuffix(
                #"{"experiment_id":"HERO","experiment_name":"HERO","#
                    + #""score_name":"clicks","value":-0}}"#))
    }

    @Test func postHogIsToldOfExposuresAsFlagsCalled() throws {
        let encoder = try PostHogEncoder(Examples.settings)
        #expect(
            String(decoding: try encoder.body([Examples.assignment]), as: UTF8.self)
                == #"{"api_key":"key\"1","batch":[{"uuid":"\#(Self.id42)","#
                + #""event":"$feature_flag_called","distinct_id":"u \"1\" Zoë/","#
                + #""timestamp":"2026-01-02T03:04:05.678901Z","properties":{"#
                + #""$feature_flag":"HERO","$feature_flag_response":"B","$feature/HERO":"B","#
                + #""experiment_id":"HERO","experiment_name":"HERO","variation_id":"B","#
                + #""variation_name":"B","cohort":2}}]}"#)
        #expect(
            try encoder.text(Examples.selection).contains(
                #""properties":{"$process_person_profile":false,"#
                    + #""$feature_flag":"app%2Ffn/hero copy","$feature_flag_response":"new","#
                    + #""$feature/app%2Ffn/hero copy":"new","#))
        #expect(
            try encoder.text(Examples.score).contains(
                #""event":"score recorded","distinct_id":"u-1","#
                    + #""timestamp":"2026-01-01T00:00:00.000000Z","properties":{"#
                    + #""$feature/HERO":"B","experiment_id":"HERO","#))
    }

    @Test func amplitudeIsToldOfExposuresWithTheirFlag() throws {
        let encoder = try AmplitudeEncoder(Examples.settings)
        #expect(
            String(decoding: try encoder.body([Examples.assignment]), as: UTF8.self)
                == #"{"api_key":"key\"1","options":{"min_id_length":1},"events":["#
                + #"{"insert_id":"\#(Self.id42)","event_type":"$exposure","#
                + #""user_id":"u \"1\" Zoë/","time":1767323045678,"event_properties":{"#
                + #""flag_key":"HERO","variant":"B","experiment_id":"HERO","#
                + #""experiment_name":"HERO","variation_id":"B","variation_name":"B","cohort":2}}]}"#
        )
        #expect(
            try encoder.text(Examples.selection).contains(
                #""user_id":"run-1","time":1767323045678,"event_properties":{"#
                    + #""flag_key":"app%2Ffn/hero copy","variant":"new","#))
        #expect(
            try encoder.text(Examples.score).contains(
                #""event_type":"Score Recorded","user_id":"u-1","time":1767225600000,"#))
    }

    @Test func snowplowIsToldOfExposuresAsSelfDescribingEvents() throws {
        let encoder = SnowplowEncoder(Examples.settings)
        #expect(!encoder.carries("ScoreRecorded"))
        let body = try JSONValue.parse(encoder.body([Examples.assignment]))
        #expect(
            body["schema"]
                == "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4")
        let event = try #require(body["data"]?.array?.first?.object)
        // The payload's schema takes strings alone.
        let members = Dictionary(uniqueKeysWithValues: event.map { ($0.key, $0.value.string) })
        let described = members["ue_pr"] ?? nil
        #expect(
            members.filter { $0.key != "ue_pr" } == [
                "e": "ue", "p": "srv", "tv": "ledger-1", "tna": "ledger",
                "aid": "https://ledger.example/prod", "eid": Self.id42, "dtm": "1767323045678",
                "ttm": "1767323045678", "uid": #"u "1" Zoë/"#,
            ])
        #expect(
            described
                == #"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","#
                + #""data":{"schema":"iglu:ledger/experiment_viewed/jsonschema/1-0-0","data":{"#
                + #""experiment_id":"HERO","variation_id":"B","user_id":"u \"1\" Zoë/","#
                + #""timestamp":"2026-01-02T03:04:05.678901Z"}}}"#)
        #expect(try encoder.text(Examples.selection).contains(#"\"user_id\":\"run-1\""#))
    }

    @Test func aSubjectTooLongForSnowplowsOwnColumnIsInTheEventAlone() throws {
        let subject = String(repeating: "u", count: 256)
        let event = Examples.event(
            position: 9, stream: "s", type: "AssignmentMade",
            data: #"{"experiment":"HERO","subject":"\#(subject)","variant":"B","cohort":1}"#)
        let text = try SnowplowEncoder(Examples.settings).text(event)
        #expect(!text.contains(#""uid""#) && text.contains(subject))
    }

    @Test(arguments: ["segment", "posthog", "amplitude", "snowplow"])
    func servicesForUnitsArePassedOverByWhatIsNotOfAUnit(name: String) throws {
        let encoder = try #require(Encoders.named(name)).init(Examples.settings)
        #expect(encoder.carries("AssignmentMade") && encoder.carries("VariantSelected"))
        #expect(!encoder.carries("ExperimentCreated") && !encoder.carries("KeyCreated"))
    }
}
