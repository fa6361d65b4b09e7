package fastmar.front;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Base64;

/** The key of one API, compared in constant time. */
final class Keys {
    private static final String BEARER = "Bearer ";
    private static final String BASIC = "Basic ";
    private final byte[] expected;

    /** @param key null for an API that needs no key */
    Keys(String key) {
        expected = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
    }

    /** Whether an Authorization header, which may be null, has the right key. */
    boolean admit(String header) {
        if (expected == null) {
            return true;
        }
        byte[] key = parse(header);
        return key != null && MessageDigest.isEqual(key, expected);
    }

    /** The key in a header: the Bearer token, or the password of Basic, which browsers send. */
    private static byte[] parse(String header) {
        if (header == null) {
            return null;
        }
        if (header.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            return header.substring(BEARER.length()).strip().getBytes(StandardCharsets.UTF_8);
        }
        if (!header.regionMatches(true, 0, BASIC, 0, BASIC.length())) {
            return null;
        }
        try {
            byte[] decoded = Base64.getDecoder().decode(header.substring(BASIC.length()).strip());
            String pair = new String(decoded, StandardCharsets.UTF_8);
            return pair.substring(pair.indexOf(':') + 1).getBytes(StandardCharsets.UTF_8);
        } catch (IllegalArgumentException notBase64) {
            return null;
        }
    }
}
