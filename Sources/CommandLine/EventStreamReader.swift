/// Reads a `text/event-stream` line by line (WHATWG HTML, "Server-sent events").
final class EventStreamReader {
    private var data: [UInt8]?

    /// Takes a line and gives the data of the event that it ends, if it ends one.
    func receive(line: ArraySlice<UInt8>) -> [UInt8]? {
        if line.isEmpty {
            defer { data = nil }
            return data
        }
        let field = line.prefix { $0 != UInt8(ascii: ":") }
        guard field.elementsEqual("data".utf8) else { return nil }
        var value = line.dropFirst(field.count + 1)
        if value.first == UInt8(ascii: " ") {
            value.removeFirst()
        }
        if data == nil {
            data = Array(value)
        } else {
            data? += [UInt8(ascii: "\n")] + value
        }
        return nil
    }
}
