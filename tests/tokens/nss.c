/*
 * NSS softokn as a PKCS#11 module that starts without an application's help, for one test.
 *
 * softokn takes the folder of its database from a field of C_Initialize's arguments that the standard reserves, and
 * from nowhere else; the tests speak safe Rust, which cannot fill it. This library hands every call to softokn as it
 * is, but for C_Initialize, to which it adds the text of KEYSVC_SCRATCH_NSS_PARAMETERS. Not for production: softokn
 * is refused by the admission, and this exists to show that it is.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

/* CK_FUNCTION_LIST of PKCS#11 2.40 (section 3.6): a version and 68 functions, C_Initialize first. */
struct functions {
    unsigned char version[2];
    void *all[68];
};

/* CK_C_INITIALIZE_ARGS (section 3.7) as NSS extends it: its text lies where the standard has pReserved. */
struct arguments {
    void *locks[4];
    unsigned long flags;
    char *parameters;
    void *reserved;
};

#define CKR_GENERAL_ERROR 5UL
#define CKF_OS_LOCKING_OK 2UL

static struct functions ours;
static unsigned long (*their_initialize)(void *);

static unsigned long initialize(void *ignored)
{
    (void)ignored;
    struct arguments arguments = { .flags = CKF_OS_LOCKING_OK };
    arguments.parameters = getenv("KEYSVC_SCRATCH_NSS_PARAMETERS");
    return their_initialize(&arguments);
}

unsigned long C_GetFunctionList(struct functions **list)
{
    const char *path = getenv("KEYSVC_SCRATCH_MODULE");
    void *module = path == NULL ? NULL : dlopen(path, RTLD_NOW);
    unsigned long (*get)(struct functions **) = NULL;
    struct functions *theirs = NULL;
    if (module != NULL)
        *(void **)&get = dlsym(module, "C_GetFunctionList");
    if (get == NULL || get(&theirs) != 0)
        return CKR_GENERAL_ERROR;
    ours = *theirs;
    *(void **)&their_initialize = ours.all[0];
    ours.all[0] = *(void **)&(unsigned long (*)(void *)){ initialize };
    *list = &ours;
    return 0;
}
