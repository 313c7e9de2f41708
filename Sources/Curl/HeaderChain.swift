import CCurl

/// The headers of one sending as libcurl's linked list, which goes on into a list that many
/// sendings share.
///
/// Its memory is used again for the next sending, so that sending costs no allocation.
final class HeaderChain {
    private var nodes = UnsafeMutableBufferPointer<curl_slist>.allocate(capacity: 8)
    private var text = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 1)

    deinit {
        nodes.deallocate()
        text.deallocate()
    }

    /// Lays out the headers, and hands back the first node; `rest` follows the last.
    func fill(
        _ headers: [Header],
        followedBy rest: UnsafeMutablePointer<curl_slist>?
    ) -> UnsafeMutablePointer<curl_slist>? {
        makeRoom(for: headers)
        var end = 0
        for (index, header) in headers.enumerated() {
            let line = text.baseAddress.map { $0 + end }
            // libcurl takes `Name:` for a wish to leave the header out.
            append(header.name, at: &end)
            append(header.value.isEmpty ? ";" : ": ", at: &end)
            append(header.value, at: &end)
            text[end] = 0
            end += 1
            let isLast = index == headers.count - 1
            nodes.initializeElement(
                at: index,
                to: curl_slist(
                    data: line?.assumingMemoryBound(to: CChar.self),
                    next: isLast ? rest : node(at: index + 1)))
        }
        return headers.isEmpty ? rest : node(at: 0)
    }

    private func node(at index: Int) -> UnsafeMutablePointer<curl_slist>? {
        nodes.baseAddress.map { $0 + index }
    }

    private func append(_ part: String, at end: inout Int) {
        var part = part
        part.withUTF8 { bytes in
            UnsafeMutableRawBufferPointer(rebasing: text[end...]).copyMemory(
                from: UnsafeRawBufferPointer(bytes))
            end += bytes.count
        }
    }

    private func makeRoom(for headers: [Header]) {
        if headers.count > nodes.count {
            nodes.deallocate()
            nodes = .allocate(capacity: headers.count)
        }
        // Between name and value two bytes at most, and a NUL at the end.
        let byteCount = headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 3 }
        if byteCount > text.count {
            text.deallocate()
            text = .allocate(byteCount: byteCount, alignment: 1)
        }
    }
}
