import JSON
import Testing

@testable import Webhooks

@Suite struct ClickHouseTests {
    private let encoder = ClickHouseEncoder(Examples.settings)

    @Test func rowsHaveTheColumnsOfTheirEvent() throws {
        #expect(
            try encoder.text(Examples.assignment)
                == #"{"position":42,"id":"0190f3a0-0000-7000-8000-00000000002a","#
                + #""stream":"assignment/HERO/u \"1\" Zoë%2F","version":1,"#
                + #""type":"AssignmentMade","recordedAt":"2026-01-02 03:04:05.678901","#
                + #""actor":"key/ci","correlation":"req-7","experiment":"HERO","#
                + #""subject":"u \"1\" Zoë/","variant":"B","cohort":2,"#
                + #""data":"{\"experiment\":\"HERO\",\"subject\":\"u \\\"1\\\" Zoë/\","#
                + #"\"subjectType\":\"ANY\",\"variant\":\"B\",\"cohort\":2,\"u\":0.25}"}"# + "\n")
        #expect(
            try encoder.text(Examples.selection).contains(
                #""actor":"key/ci","experiment":"hero copy","function":"app/fn","run":"run-1","#
                    + #""variant":"new","definition":3,"data":"#))
        #expect(
            try encoder.text(Examples.score).contains(
                #""variant":"B","cohort":2,"name":"latency, ms","value":12.5,"data":"#))
        #expect(
            try encoder.text(Examples.runScore).contains(
                #""definition":3,"name":"ok","value":1,"data":"#))
    }

    @Test(arguments: [
        Examples.assignment, Examples.selection, Examples.score, Examples.runScore,
        Examples.unattributed, Examples.variantAdded, Examples.created,
    ])
    func theDataIsTheExactTextThatWasRecorded(event: OutgoingEvent) throws {
        let row = try JSONValue.parse(Array(try encoder.text(event).utf8.dropLast()))
        let line = event.lineText
        let data = try #require(row["data"]?.string)
        #expect(line.contains(#""data":\#(data)"#))
        #expect(try JSONValue.parse(Array(data.utf8)).object != nil)
        for member in try #require(row.object) {
            #expect(member.value.object == nil && member.value.array == nil && !member.value.isNull)
        }
    }

    @Test func eventsOfAnExperimentNameItAndLeaveOutWhatIsNoText() throws {
        for event in [Examples.variantAdded, Examples.created] {
            let row = try JSONValue.parse(Array(try encoder.text(event).utf8.dropLast()))
            #expect(row["experiment"] == "HERO")
            #expect(row["variant"] == nil)
        }
    }

    @Test func theNameOfAKeyIsNoNameOfAScore() throws {
        let key = Examples.event(
            position: 9, stream: "key/ci", type: "KeyCreated",
            data: #"{"key":"ci","role":"writer","name":"CI"}"#)
        #expect(try !encoder.text(key).contains(#""name":"#))
    }

    private static let insert = "query=INSERT%20INTO%20ledger_events%20FORMAT%20JSONEachRow"
    private static let skip = "input_format_skip_unknown_fields=1"

    @Test(arguments: [
        (
            "http://h:8123",
            "http://h:8123?\(insert)&insert_deduplication_token=wh_1%3A42&\(skip)"
        ),
        (
            "http://h:8123/?",
            "http://h:8123/?\(insert)&insert_deduplication_token=wh_1%3A42&\(skip)"
        ),
        (
            "http://h:8123/?database=d&table=d.events",
            "http://h:8123/?database=d&query=INSERT%20INTO%20d.events%20FORMAT%20JSONEachRow"
                + "&insert_deduplication_token=wh_1%3A42&\(skip)"
        ),
        (
            "http://h:8123/?query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow&table=x",
            "http://h:8123/?query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow"
                + "&insert_deduplication_token=wh_1%3A42&\(skip)"
        ),
        (
            "http://h:8123/?insert_deduplication_token=&database=d",
            "http://h:8123/?database=d&\(insert)&\(skip)"
        ),
        (
            "http://h:8123/?insert_deduplication_token=mine&input_format_skip_unknown_fields=0",
            "http://h:8123/?insert_deduplication_token=mine&input_format_skip_unknown_fields=0"
                + "&\(insert)"
        ),
        (
            "http://h:8123/?xquery=1",
            "http://h:8123/?xquery=1&\(insert)&insert_deduplication_token=wh_1%3A42&\(skip)"
        ),
    ])
    func theURLSaysWhereRowsGoAndWhichBatchTheyAre(base: String, url: String) {
        #expect(encoder.url(base, token: "wh_1:42") == url)
    }

    @Test func otherEncodersSendToTheEndpointsOwnURL() throws {
        for encoder in Encoders.all where encoder != ClickHouseEncoder.self {
            let url = "https://h/path?a=b"
            #expect(try encoder.init(Examples.settings).url(url, token: "t") == url)
        }
    }
}
