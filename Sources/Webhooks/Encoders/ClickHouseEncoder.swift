import Domain
import JSON

/// Rows of ClickHouse's HTTP interface, in the format JSONEachRow.
///
/// The endpoint's URL is the server's, as in `https://host:8443/?database=ledger`. Where its query
/// has no `query=`, rows go to the table that `table=` names, or to `ledger_events`:
///
///     CREATE TABLE ledger_events (
///         position UInt64, id UUID, stream String, version UInt64, type String,
///         recordedAt DateTime64(6, 'UTC'), actor String, correlation String,
///         experiment String, function String, subject String, run String, variant String,
///         cohort UInt32, definition UInt32, name String, value Nullable(Float64), data String
///     ) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(recordedAt) ORDER BY position
///
/// A member that an event does not have is left out, and its column gets its default. `data` is a
/// string with the exact text that was recorded. Columns may be left out of the table.
///
/// Old servers have no `DateTime64`; there, as tried with 18.16.1:
///
///     recordedAt String,
///     recordedDate Date MATERIALIZED toDate(substring(recordedAt, 1, 10)),
///     …) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(recordedDate) ORDER BY position
///
/// A batch that is sent again carries the same `insert_deduplication_token`, which replicated tables
/// heed, and others where `non_replicated_deduplication_window` is set. Old servers refuse it as an
/// unknown setting, with status 404: an empty `insert_deduplication_token=` in the endpoint's URL
/// leaves it out.
///
/// ClickHouse sets no limit on a body. It parses 10 MiB at a time and keeps each insert whole only
/// within one block (clickhouse.com/docs, `min_chunk_bytes_for_parallel_parsing`,
/// `max_insert_block_size`), so batches stay below.
struct ClickHouseEncoder: EventEncoder {
    static let name = "clickhouse"
    let contentType = "application/x-ndjson"
    let limits = BatchLimits(countMax: 100_000, bytesMax: 8 << 20, eventBytesMax: .max)

    init(_ settings: EncoderSettings) {}

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent) {
        let line = try RecordedLine(event)
        let data = try RecordedData(line, of: event)
        body.appendJSON { writer in
            writer.beginObject()
            writer.columns(of: event, line)
            writer.columns(of: data, of: event)
            writer.key("data")
            writer.string(String(decoding: line.data, as: UTF8.self))
            writer.endObject()
            writer.newline()
        }
    }

    func url(_ base: String, token: String) -> String {
        ClickHouseURL(base).inserting(token: token)
    }
}

extension JSONWriter {
    fileprivate mutating func columns(of event: OutgoingEvent, _ line: RecordedLine) {
        key("position")
        integer(event.position)
        key("id")
        string(event.id.description)
        key("stream")
        string(event.stream)
        key("version")
        integer(line.version)
        key("type")
        string(event.type)
        key("recordedAt")
        string(event.recordedAt.clickHouseText)
        key("actor")
        string(line.actor)
        column("correlation", line.correlation)
    }

    fileprivate mutating func columns(of data: RecordedData, of event: OutgoingEvent) {
        column("experiment", data.experiment ?? event.managedExperiment)
        column("function", data.function)
        column("subject", data.subject)
        column("run", data.run)
        column("variant", data.variant)
        column("cohort", data.cohort)
        column("definition", data.definition)
        // Keys have names as well; the column is for scores.
        guard let value = data.value else { return }
        column("name", data.name)
        key("value")
        number(value)
    }

    private mutating func column(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        key(name)
        string(text)
    }

    private mutating func column(_ name: StaticString, _ number: Int64?) {
        guard let number else { return }
        key(name)
        integer(number)
    }
}

extension OutgoingEvent {
    /// The experiment that the event created, whose data has no member for it.
    fileprivate var managedExperiment: String? {
        let prefix = "experiment/"
        return stream.hasPrefix(prefix) ? String(stream.dropFirst(prefix.count)) : nil
    }
}

extension Timestamp {
    /// `2026-01-02 03:04:05.678901`: what every version reads, and sorts as a text.
    fileprivate var clickHouseText: String {
        var text = bytes
        text[10] = UInt8(ascii: " ")
        return String(decoding: text.dropLast(), as: UTF8.self)
    }
}

/// An endpoint's URL with the parts of its query, as they stand in it.
private struct ClickHouseURL {
    private let address: Substring
    private var parts: [Substring]

    init(_ url: String) {
        let split = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        address = split[0]
        parts = split.count > 1 ? split[1].split(separator: "&") : []
    }

    /// The first value of a parameter; nil without the parameter.
    private func value(_ name: String) -> Substring? {
        parts.first { $0.hasPrefix("\(name)=") }?.dropFirst(name.utf8.count + 1)
    }

    private mutating func remove(_ name: String) {
        parts.removeAll { $0.hasPrefix("\(name)=") }
    }

    /// The URL of one insert.
    func inserting(token: String) -> String {
        var url = self
        let table = value("table") ?? "ledger_events"
        // A part of the query that ClickHouse doesn't know is an unknown setting to it.
        url.remove("table")
        if value("query") == nil {
            url.parts.append("query=INSERT%20INTO%20\(table)%20FORMAT%20JSONEachRow")
        }
        switch value("insert_deduplication_token") {
        case nil: url.parts.append("insert_deduplication_token=\(percentEncoded(token))")
        case "": url.remove("insert_deduplication_token")
        default: break
        }
        if value("input_format_skip_unknown_fields") == nil {
            url.parts.append("input_format_skip_unknown_fields=1")
        }
        return "\(url.address)?\(url.parts.joined(separator: "&"))"
    }

    private func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                String(Unicode.Scalar(byte))
            default: (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
