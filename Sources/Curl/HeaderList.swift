import CCurl

/// A request's headers as libcurl's linked list.
final class HeaderList {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    init(_ request: Request) {
        for (name, value) in request.headers {
            // libcurl takes `Name:` for a wish to leave the header out.
            append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // Left to itself libcurl waits for a 100 before a large body, and calls it a form.
        append("Expect:")
        if !request.headers.contains(where: { $0.0.lowercased() == "content-type" }) {
            append("Content-Type:")
        }
    }

    deinit {
        curl_slist_free_all(first)
    }

    private func append(_ line: String) {
        guard let longer = curl_slist_append(first, line) else {
            fatalError("out of memory")
        }
        first = longer
    }
}

extension Request {
    /// What in the request would break out of its place on the wire; nil if nothing does.
    var reasonNotToSend: String? {
        let texts = [method, url] + headers.flatMap { [$0.0, $0.1] }
        let breaksOut = texts.contains { text in
            text.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }
        }
        if breaksOut {
            return "a line end or NUL in the request's method, URL or headers"
        }
        if headers.contains(where: { $0.0.isEmpty || $0.0.contains(":") || $0.0.contains(";") }) {
            return "a header's name is empty, or has a colon or semicolon in it"
        }
        return nil
    }
}
