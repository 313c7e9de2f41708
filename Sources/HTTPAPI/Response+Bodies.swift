import HTTPTypes
import Hummingbird
import JSON

/// The media types the ledger speaks.
enum MediaType: String {
    case json = "application/json"
    case problemJSON = "application/problem+json"
    case yaml = "application/yaml"
    case ndjson = "application/x-ndjson"
    case eventStream = "text/event-stream"
    case text = "text/plain; charset=utf-8"
    case prometheus = "text/plain; version=0.0.4; charset=utf-8"
}

extension Response {
    init(status: HTTPResponse.Status = .ok, bytes: [UInt8], type: MediaType) {
        self.init(
            status: status, headers: [.contentType: type.rawValue],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    init(status: HTTPResponse.Status = .ok, json: JSONWriter, type: MediaType = .json) {
        self.init(status: status, bytes: json.bytes, type: type)
    }

    /// What the log said at a position: all up to it, and nothing beyond.
    init(json: JSONWriter, at position: Int64) {
        self.init(json: json)
        headers[.ledgerPosition] = "\(position)"
    }

    /// The document as the client wants it: YAML where it accepts that and not JSON.
    init(
        status: HTTPResponse.Status = .ok, document: JSONWriter, for request: Request
    ) throws {
        if request.prefersYAML {
            let text = try YAML.text(of: JSONValue.parse(document.bytes))
            self.init(status: status, bytes: Array(text.utf8), type: .yaml)
        } else {
            self.init(status: status, json: document)
        }
    }
}

/// A JSON object, its members written by `members`.
func json(_ members: (inout JSONWriter) -> Void) -> JSONWriter {
    var writer = JSONWriter()
    writer.beginObject()
    members(&writer)
    writer.endObject()
    return writer
}

/// A page of a list: `{"items":[…],"next":…,"position":…}`.
func listPage<Item>(
    _ items: [Item], next: String?, position: Int64, _ write: (inout JSONWriter, Item) -> Void
) -> JSONWriter {
    json { writer in
        writer.key("items")
        writer.beginArray()
        for item in items { write(&writer, item) }
        writer.endArray()
        writer.key("next")
        writer.string(orNull: next)
        writer.key("position")
        writer.integer(position)
    }
}
