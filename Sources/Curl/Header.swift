/// A header of a request.
package struct Header: Sendable, Equatable {
    /// The name, spelled as it is sent.
    package var name: String
    /// The value.
    package var value: String

    /// Makes a header.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// What in the headers would break out of its place on the wire; nil if nothing does.
    static func reasonNotToSend(_ headers: some Sequence<Header>) -> String? {
        for header in headers {
            if header.name.hasLineEndOrNUL || header.value.hasLineEndOrNUL {
                return "a line end or NUL in the request's headers"
            }
            let isName = !header.name.isEmpty && !header.name.utf8.contains(where: Self.endsName)
            guard isName else {
                return "a header's name is empty, or has a colon or semicolon in it"
            }
        }
        return nil
    }

    /// Whether libcurl would take the byte for the end of a header's name.
    private static func endsName(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ":") || byte == UInt8(ascii: ";")
    }
}

extension String {
    /// Whether the text has a byte that ends a line of HTTP or a C string.
    var hasLineEndOrNUL: Bool {
        utf8.contains { $0 == 0 || $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }
    }
}
