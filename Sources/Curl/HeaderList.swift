import CCurl

/// Headers as libcurl's linked list.
final class HeaderList {
    private(set) var first: UnsafeMutablePointer<curl_slist>?

    init(_ headers: [(String, String)]) {
        for (name, value) in headers {
            // libcurl takes `Name:` for a wish to leave the header out.
            append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // Left to itself libcurl waits for a 100 before a large body, and calls it a form.
        append("Expect:")
        if !headers.contains(where: { $0.0.lowercased() == "content-type" }) {
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
        if [method, url].contains(where: \.hasLineEndOrNUL) {
            return "a line end or NUL in the request's method or URL"
        }
        return Header.reasonNotToSend(headers.lazy.map(Header.init))
    }
}
