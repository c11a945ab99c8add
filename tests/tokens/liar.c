/*
 * A token that lies: every call goes to the module REAL as it is, but for what the file LIE names at that moment.
 *
 * For the tests of the self-test. The two paths are given when it is compiled, for the service's environment is scrubbed.
 * Without the file, or with a word that is none of these, it is honest:
 *
 *     cmac        the last bit of every CMAC is turned
 *     ecdsa       the last bit of every ECDSA signature is turned
 *     again       every ECDSA signature is the first one that was made under this lie
 *     derive      every AES-CBC derivation is of other data
 *     wrap        the first bit of every wrapped key is turned
 *     random      every random byte is 0x5a
 *     key         every AES key that is generated is the same one
 *     self-test   the token says that its own self-test failed, at C_Initialize
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long number;
typedef unsigned char byte;

/* CK_FUNCTION_LIST of PKCS#11 2.40 (section 3.6): a version and 68 functions. */
struct functions {
    byte version[2];
    void *all[68];
};

struct mechanism {
    number type;
    void *parameter;
    number length;
};

struct attribute {
    number type;
    void *value;
    number length;
};

/* CK_AES_CBC_ENCRYPT_DATA_PARAMS. */
struct cbc_data {
    byte iv[16];
    byte *data;
    number length;
};

/* Places in the function list. */
enum { INITIALIZE = 0, CREATE_OBJECT = 20, SIGN_INIT = 42, SIGN = 43, GENERATE_KEY = 58, WRAP_KEY = 60,
       DERIVE_KEY = 62, GENERATE_RANDOM = 64 };

#define CKR_GENERAL_ERROR 5UL
#define CKR_FIPS_SELF_TEST_FAILED 438UL
#define CKM_AES_KEY_GEN 0x1080UL
#define CKM_AES_CMAC 0x108aUL
#define CKM_ECDSA 0x1041UL
#define CKM_AES_CBC_ENCRYPT_DATA 0x1105UL
#define CKM_AES_KEY_WRAP 0x2109UL
#define CKA_CLASS 0UL
#define CKA_VALUE 0x11UL
#define CKA_KEY_TYPE 0x100UL
#define CKA_VALUE_LEN 0x161UL
#define CKA_LOCAL 0x163UL
#define CKO_SECRET_KEY 4UL
#define CKK_AES 0x1fUL
#define TEMPLATE_MAX 48

static struct functions ours, theirs;
static byte first_signature[64];
static int have_first;
/* The mechanism of this thread's signature under way. */
static __thread number signing;

static int lies(const char *word)
{
    char said[32] = "";
    FILE *file = fopen(LIE, "r");
    if (file == NULL)
        return 0;
    size_t length = fread(said, 1, sizeof said - 1, file);
    fclose(file);
    said[length] = 0;
    return strcmp(said, word) == 0;
}

static number initialize(void *arguments)
{
    number (*real)(void *) = (number (*)(void *))theirs.all[INITIALIZE];
    return lies("self-test") ? CKR_FIPS_SELF_TEST_FAILED : real(arguments);
}

static number sign_init(number session, struct mechanism *mechanism, number key)
{
    number (*real)(number, struct mechanism *, number) = (number (*)(number, struct mechanism *, number))theirs.all[SIGN_INIT];
    signing = mechanism == NULL ? 0 : mechanism->type;
    return real(session, mechanism, key);
}

static number sign(number session, byte *data, number data_length, byte *out, number *length)
{
    number (*real)(number, byte *, number, byte *, number *) =
        (number (*)(number, byte *, number, byte *, number *))theirs.all[SIGN];
    number answer = real(session, data, data_length, out, length);
    if (answer != 0 || out == NULL || *length == 0)
        return answer;
    if ((signing == CKM_AES_CMAC && lies("cmac")) || (signing == CKM_ECDSA && lies("ecdsa")))
        out[*length - 1] ^= 1;
    if (signing == CKM_ECDSA && *length == sizeof first_signature && lies("again")) {
        if (have_first)
            memcpy(out, first_signature, sizeof first_signature);
        memcpy(first_signature, out, sizeof first_signature);
        have_first = 1;
    }
    return answer;
}

static number generate_key(number session, struct mechanism *mechanism, struct attribute *template, number count,
                           number *key)
{
    number (*real)(number, struct mechanism *, struct attribute *, number, number *) =
        (number (*)(number, struct mechanism *, struct attribute *, number, number *))theirs.all[GENERATE_KEY];
    number (*create)(number, struct attribute *, number, number *) =
        (number (*)(number, struct attribute *, number, number *))theirs.all[CREATE_OBJECT];
    if (mechanism->type != CKM_AES_KEY_GEN || count + 3 > TEMPLATE_MAX || !lies("key"))
        return real(session, mechanism, template, count, key);
    static byte value[32] = { 0x5a };
    static number class = CKO_SECRET_KEY, type = CKK_AES;
    struct attribute all[TEMPLATE_MAX] = {
        { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_VALUE, value, 16 }
    };
    number used = 3;
    for (number at = 0; at < count; at++) {
        number one = template[at].type;
        if (one == CKA_VALUE_LEN)
            all[2].length = *(number *)template[at].value;
        else if (one != CKA_CLASS && one != CKA_KEY_TYPE && one != CKA_LOCAL)
            all[used++] = template[at];
    }
    return create(session, all, used, key);
}

static number wrap_key(number session, struct mechanism *mechanism, number wrapping, number key, byte *out,
                       number *length)
{
    number (*real)(number, struct mechanism *, number, number, byte *, number *) =
        (number (*)(number, struct mechanism *, number, number, byte *, number *))theirs.all[WRAP_KEY];
    number answer = real(session, mechanism, wrapping, key, out, length);
    if (answer == 0 && out != NULL && mechanism->type == CKM_AES_KEY_WRAP && lies("wrap"))
        out[0] ^= 0x80;
    return answer;
}

static number derive_key(number session, struct mechanism *mechanism, number base, struct attribute *template,
                         number count, number *key)
{
    number (*real)(number, struct mechanism *, number, struct attribute *, number, number *) =
        (number (*)(number, struct mechanism *, number, struct attribute *, number, number *))theirs.all[DERIVE_KEY];
    if (mechanism->type != CKM_AES_CBC_ENCRYPT_DATA || !lies("derive"))
        return real(session, mechanism, base, template, count, key);
    struct cbc_data other = *(struct cbc_data *)mechanism->parameter;
    struct mechanism false_one = { mechanism->type, &other, sizeof other };
    other.iv[0] ^= 1;
    return real(session, &false_one, base, template, count, key);
}

static number generate_random(number session, byte *out, number length)
{
    number (*real)(number, byte *, number) = (number (*)(number, byte *, number))theirs.all[GENERATE_RANDOM];
    number answer = real(session, out, length);
    if (answer == 0 && lies("random"))
        memset(out, 0x5a, length);
    return answer;
}

number C_GetFunctionList(struct functions **list)
{
    void *module = dlopen(REAL, RTLD_NOW);
    number (*get)(struct functions **) = NULL;
    struct functions *found = NULL;
    if (module != NULL)
        *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (get == NULL || get(&found) != 0)
        return CKR_GENERAL_ERROR;
    theirs = *found;
    ours = theirs;
    ours.all[INITIALIZE] = (void *)initialize;
    ours.all[SIGN_INIT] = (void *)sign_init;
    ours.all[SIGN] = (void *)sign;
    ours.all[GENERATE_KEY] = (void *)generate_key;
    ours.all[WRAP_KEY] = (void *)wrap_key;
    ours.all[DERIVE_KEY] = (void *)derive_key;
    ours.all[GENERATE_RANDOM] = (void *)generate_random;
    *list = &ours;
    return 0;
}
